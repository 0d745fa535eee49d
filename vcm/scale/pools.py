"""The choice of a pool of workers: processes on this machine, or a Ray cluster."""

import os

from vcm.scale.cluster import Cluster
from vcm.scale.local import Processes
from vcm.scale.work import Pool


def pool_of(workers: int | None, ray: str | None) -> Pool:
    """A Ray cluster, or `workers` processes on this machine.

    Args:
        workers: number of processes; None: one per core.
        ray: "auto", "local" or the address of a cluster; None: no cluster.

    Raises:
        SpecError: if `workers` is below 1, or given for a cluster that is already running.
    """
    if ray is not None:
        return Cluster(ray, workers)
    return Processes(_cores() if workers is None else workers)


def _cores() -> int:
    """Cores that this process may use; a scheduler may have limited them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
