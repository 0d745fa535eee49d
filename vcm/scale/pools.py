"""Which pool of workers: processes of this machine, or of a Ray cluster."""

import os

from vcm.scale.cluster import Cluster
from vcm.scale.local import Processes
from vcm.scale.work import Pool


def pool_of(workers: int | None, ray: str | None) -> Pool:
    """The processes that are asked for: of a Ray cluster, or so many of this machine.

    Args:
        workers: None: one a core.
        ray: "auto", "local" or the address of a cluster; None for none.

    Raises:
        SpecError: if there cannot be so many.
    """
    if ray is not None:
        return Cluster(ray, workers)
    return Processes(_cores() if workers is None else workers)


def _cores() -> int:
    """Cores that this process may use, which a scheduler may have made fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
