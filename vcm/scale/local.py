"""Worker processes on this machine."""

import logging
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any

from vcm.errors import SpecError, WorkerError
from vcm.scale.work import Submit


class Processes:
    """Worker processes, each with one thread.

    Raises:
        SpecError: if `workers` is below 1.
        WorkerError: on leaving, if a worker process died.
    """

    def __init__(self, workers: int):
        if workers < 1:
            raise SpecError(f"workers: expected 1 or more, got {workers}")
        self.room = 3 * workers  # so that no worker waits until its next picture is read
        self._workers = workers

    def __enter__(self) -> Submit:
        self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), start)
        return self._pool.submit

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        self._pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise WorkerError(
                "a worker process died, perhaps for lack of memory; fewer workers need less",
                hint="fewer workers",
            ) from error


def start() -> None:
    """Run first in each worker: it ignores Ctrl-C, which the parent handles, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settle()


def settle() -> None:
    """One thread, so that results do not depend on the machine; no warnings about each picture."""
    logging.getLogger("vcm").setLevel(logging.ERROR)
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its workers: without this they would never end."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
