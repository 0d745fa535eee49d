"""Masks of a task's words in training pictures: found once, kept on disk."""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from vcm import dataset, image
from vcm.errors import ImageError
from vcm.roi import backend_for
from vcm.roi.acquire import acquire, unwarned
from vcm.roi.embedded import built_in
from vcm.roi.specialists import made_by
from vcm.roi.text import parse, task_of, words_of
from vcm.scale.sources import Source, read
from vcm.task import TaskSpec, find_task
from vcm.train.label_maps import mask_name
from vcm.train.photos import Data, told

_log = logging.getLogger(__name__)


def words_masks(data: Data, folder: Path, index: int = 0, of: int = 1) -> Data:
    """The data, with the masks of its task or words as regions; missing masks are made.

    Args:
        folder: where masks are kept, in a subfolder for each set of words, settings, network and
            pictures.
        index, of: this process is number `index`, from 0, of `of` that share the pictures.

    Raises:
        SpecError: if there is no such task.
        UnknownWord: if no words-to-mask network knows a word.
        MissingExtra: if the package of a network that a word needs is not installed.
    """
    if not data.task and not data.words:
        return data
    spec = _spec(data)
    words = words_of(spec)
    backend = backend_for(spec)
    others = made_by((*spec.phrases, *spec.exclude))
    known = (
        words[:2],
        spec.tau,
        spec.dilation,
        spec.detail,
        built_in(),
        _place(data.photos),
        *others,
    )
    target = folder / hashlib.sha256(repr(known).encode()).hexdigest()[:12]
    target.mkdir(parents=True, exist_ok=True)
    mine = list(dataset.pictures(data.photos))[index::of]
    missing = [source for source in mine if not _mask_of(source, target).is_file()]
    if missing:
        _log.warning("finding the words in %d pictures, once", len(missing))
    for source in told(missing, "found the words in"):
        try:
            with unwarned():  # many pictures show none of the words
                found = acquire(
                    read(source), words, backend, sigma=1.0,
                    tau=spec.tau, dilation=spec.dilation, on_empty="background",
                )  # fmt: skip
        except ImageError:  # damaged ones are counted when the pictures are loaded
            continue
        image.write(_mask_of(source, target), found.roi.astype(np.uint8))
    return replace(data, regions=(str(target),))


def check_words(data: Data) -> None:
    """Check the words before any work.

    Raises:
        SpecError: if there is no such task.
        UnknownWord: if no words-to-mask network knows a word.
        MissingExtra: if the package of a network that a word needs is not installed.
    """
    if data.task or data.words:
        backend_for(_spec(data))


def _spec(data: Data) -> TaskSpec:
    if data.task:
        return find_task(data.task)
    return task_of(parse(data.words))


def _place(photos: str) -> str:
    return str(Path(photos).resolve()) if Path(photos).exists() else photos


def _mask_of(source: Source, folder: Path) -> Path:
    return folder / f"{mask_name(source)}.png"
