"""All pictures of an evaluation in worker processes; what is done is kept and not done again."""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vcm.errors import VcmError
from vcm.evaluate.measure import Measurer
from vcm.evaluate.plan import Plan
from vcm.evaluate.record import Record, from_json, stamp, to_json
from vcm.files import make_folder, write_atomic
from vcm.scale.sources import Source
from vcm.scale.work import Pool, mapped


class Done(NamedTuple):
    """One picture that is through.

    Attributes:
        error: why it failed, or None.
    """

    photo: Source
    error: VcmError | None


class _Task(NamedTuple):
    """One picture, and what is known of it."""

    photo: Source
    known: Record | None


@dataclass(frozen=True)
class _Measuring:
    """What is done with each picture.

    Attributes:
        plan: without its list of pictures.
    """

    plan: Plan

    def load(self) -> Callable[[_Task], Record]:
        """Load the models."""
        measurer = Measurer(self.plan)
        return lambda task: measurer.record(task.photo, task.known)


def measured(plan: Plan, folder: Path, pool: Pool) -> Iterator[Done]:
    """Measure all pictures, yielding each when it is through; records lie in the folder then.

    The results do not depend on the pool: each of its processes computes with one thread.

    Raises:
        VcmError: if what every picture needs cannot be loaded.
        WorkerError: if a worker process of this machine died.
        OutputError: if the folder cannot be made.
    """
    make_folder(folder)
    tasks = (_Task(photo, load(folder, photo, plan)) for photo in plan.data.photos)
    for task, record in mapped(_Measuring(plan.bare()), tasks, pool):
        if isinstance(record, VcmError):
            yield Done(task.photo, record)
            continue
        data = gzip.compress(json.dumps(to_json(record)).encode(), compresslevel=3, mtime=0)
        write_atomic(_path(folder, task.photo), data)
        yield Done(task.photo, None)


def records(plan: Plan, folder: Path) -> dict[str, Record]:
    """What was measured, by the names of the pictures, in the order of the data.

    All of them are in memory: some 7 kB a picture and setting of a detector's hundreds of boxes.
    """
    found = ((photo.name, load(folder, photo, plan)) for photo in plan.data.photos)
    return {name: record for name, record in found if record is not None}


def load(folder: Path, photo: Source, plan: Plan) -> Record | None:
    """The record of a picture, or None if there is none of this plan."""
    try:
        told: Any = json.loads(gzip.decompress(_path(folder, photo).read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error):  # none yet, or damaged
        return None
    known = {"key": plan.key, "name": photo.name, "stamp": stamp(photo, plan.data)}
    if not isinstance(told, dict) or not known.items() <= told.items():  # of another plan
        return None
    try:
        return from_json(told)
    except (AttributeError, KeyError, TypeError, ValueError):  # of another program
        return None


def _path(folder: Path, photo: Source) -> Path:
    """No name of a photo is a name of ours: it may be too long, or hold a slash."""
    return folder / f"{hashlib.sha256(os.fsencode(photo.name)).hexdigest()[:32]}.json.gz"
