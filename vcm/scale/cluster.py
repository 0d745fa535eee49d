"""Worker processes of a Ray cluster: Ray distributes the tasks and repeats those of lost workers.

A task carries its picture and returns the result. The machines of the cluster need vcm, and all
files that options name (weights, masks, task files, code) at the same paths.
"""

import logging
import os
import secrets
import socket
from concurrent.futures import Future
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from vcm.errors import MissingExtra, SpecError, WorkerError
from vcm.scale.local import settle
from vcm.scale.work import Submit

LOCAL: Final = "local"  # instead of an address: a cluster on this machine, only for this run
RETRIES: Final = 3  # of a task whose worker is lost; then the task itself is taken for the cause
SILENT: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# Despite its name, this is Ray's switch for a cluster that listens only on the loopback interface.
LOOPBACK: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class Cluster:
    """The processors of a Ray cluster, one task on each.

    Args:
        address: HOST:PORT, "auto" for the cluster that this machine belongs to, or "local".
        workers: processors of a local cluster; None: all.

    Raises:
        SpecError: if the number of workers is given for a cluster that is already running.
    """

    room = 0  # until it is entered

    def __init__(self, address: str, workers: int | None = None):
        if workers is not None and (address != LOCAL or workers < 1):
            raise SpecError(
                f"workers: expected 1 or more for {LOCAL!r}, which starts a cluster, and none for "
                f"a cluster that is already running; got {workers} for {address!r}",
                hint="cluster's workers",
            )
        self._address, self._workers = address, workers

    def __enter__(self) -> Submit:
        ray = _connected(self._address, self._workers)
        # Three tasks a processor: none is idle, and a cluster that can grow sees that it should.
        self.room = 3 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._shutdown = ray.shutdown
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_in_worker)
        folder = str(Path.cwd())
        return lambda function, *rest: _translated(task.remote(folder, function, *rest).future())

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        self._shutdown()


def _connected(address: str, workers: int | None) -> Any:
    """The module ray, connected.

    Raises:
        MissingExtra: if it is not installed.
        SpecError: if there is no such cluster.
    """
    os.environ.update(SILENT)  # read when ray is imported
    if address == LOCAL:
        _keep_to_this_machine()
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "scale") from error
    _check_answers(address)
    own = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SpecError(f"no Ray cluster at {address!r}: {reason}", hint="cluster") from error
    return ray


def _keep_to_this_machine() -> None:
    """Makes our own cluster listen only on the loopback interface, with a random token."""
    os.environ.update(LOOPBACK)
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})


def _check_answers(address: str) -> None:
    """Checked here because Ray waits minutes for a missing machine, and then ends the process.

    Raises:
        SpecError: if nothing listens at HOST:PORT.
    """
    if address in (LOCAL, "auto"):
        return
    host, colon, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise SpecError(f"Ray cluster: expected auto, {LOCAL} or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise SpecError(
            f"no Ray cluster at {address!r}: nothing answers there ({error})", hint="cluster"
        ) from error


def _in_worker(folder: str, function: Any, *rest: Any) -> Any:
    _settled(folder)
    return function(*rest)


@cache
def _settled(folder: str) -> None:
    """Run once in each process; relative paths are those of the command if its folder exists."""
    settle()
    if Path(folder).is_dir():
        os.chdir(folder)


def _translated(future: "Future[Any]") -> "Future[Any]":
    """A future with Ray's errors translated: lost tasks become results, bugs are raised as such."""
    result: Future[Any] = Future()
    future.add_done_callback(partial(_translate, result))
    return result


def _translate(result: "Future[Any]", future: "Future[Any]") -> None:
    from ray.exceptions import RayError, RayTaskError

    error = future.exception()
    if error is None:
        result.set_result(future.result())
    elif isinstance(error, RayTaskError):
        result.set_exception(error.cause)
    elif isinstance(error, RayError):
        result.set_result(WorkerError(f"lost {RETRIES + 1} workers ({type(error).__name__})"))
    else:
        result.set_exception(error)
