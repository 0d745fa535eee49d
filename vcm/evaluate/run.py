"""All pictures of an evaluation in worker processes; what is done is kept and not done again."""

import gzip
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import NamedTuple

from vcm.dataset import Photo
from vcm.errors import MetricError, OutputError, VcmError
from vcm.evaluate.measure import Measurer, Record
from vcm.evaluate.plan import Plan
from vcm.files import write_atomic


class Done(NamedTuple):
    """One picture that is through.

    Attributes:
        error: why it failed, or None.
    """

    photo: Photo
    error: str | None


def measured(plan: Plan, folder: Path, workers: int) -> Iterator[Done]:
    """Measure all pictures, yielding each when it is through; records lie in the folder then.

    The results do not depend on the number of workers: each computes with one thread.

    Raises:
        VcmError: if what every picture needs cannot be loaded.
        MetricError: if a worker process died.
        OutputError: if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}") from error
    with ProcessPoolExecutor(workers, get_context("spawn"), _start) as pool:
        bare = plan.bare()
        pool.submit(_prepare, bare).result()  # what fails for every picture fails here, once
        photos = {pool.submit(_measure, bare, photo, folder): photo for photo in plan.data.photos}
        try:
            yield from (_done(future, photos[future]) for future in as_completed(photos))
        except BrokenProcessPool as error:
            raise MetricError(
                "a worker process died, perhaps for lack of memory; the same command goes on "
                "where it stopped, with fewer --workers it needs less"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def records(plan: Plan, folder: Path) -> dict[str, Record]:
    """What was measured, by the names of the pictures, in the order of the data."""
    found = {photo.name: load(folder, photo, plan) for photo in plan.data.photos}
    return {name: record for name, record in found.items() if record is not None}


def load(folder: Path, photo: Photo, plan: Plan) -> Record | None:
    """The record of a picture, or None if there is none of this plan."""
    try:
        record: Record = json.loads(gzip.decompress(_path(folder, photo).read_bytes()))
    except (OSError, EOFError, ValueError):  # none yet, or of another program
        return None
    return record if record.get("key") == plan.key else None


def _path(folder: Path, photo: Photo) -> Path:
    return folder / f"{photo.name.replace('/', '_')}.json.gz"


def _done(future: "Future[None]", photo: Photo) -> Done:
    try:
        future.result()
    except VcmError as error:
        return Done(photo, str(error))
    return Done(photo, None)


def _start() -> None:
    """What each worker does first: one thread, and Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its workers: they would work and wait for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@cache
def _measurer(plan: Plan) -> Measurer:
    """One for each plan and process."""
    return Measurer(plan)


def _prepare(plan: Plan) -> None:
    _measurer(plan)


def _measure(plan: Plan, photo: Photo, folder: Path) -> None:
    """Write the record of a picture."""
    known = load(folder, photo, plan)
    record = _measurer(plan).record(photo, known)
    data = gzip.compress(json.dumps(record).encode(), compresslevel=3, mtime=0)
    write_atomic(_path(folder, photo), data)
