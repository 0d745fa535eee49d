"""Finds the label map of a training picture."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vcm.errors import SpecError
from vcm.scale.sources import File, Source

_log = logging.getLogger(__name__)


def label_map(
    source: Source, size: tuple[int, ...], folders: tuple[str, ...]
) -> NDArray[np.uint8] | None:
    """The label map of a picture, (H, W) uint8; None if no folder has one that fits.

    Args:
        size: (H, W) of the picture.
        folders: with PNG files named after the picture, or by `mask_name`.
    """
    names = (_stem(source), mask_name(source)) if folders else ()
    path = _where(names, folders)
    return None if path is None else _read(path, size)


def check_apart(found: Sequence[Source], folders: tuple[str, ...]) -> None:
    """Raises a SpecError if two pictures with the same stem share a label map: it fits only one."""
    owners: dict[Path, str] = {}
    stems = Counter(map(_stem, found))
    for source in found if folders else ():
        path = _where((_stem(source),), folders) if stems[_stem(source)] > 1 else None
        first = owners.setdefault(path, source.where) if path else source.where
        if first != source.where:
            raise SpecError(f"{first} and {source.where} share the label map {path}; rename one")


def mask_name(source: Source) -> str:
    """File name, without suffix, of a picture's mask from words; it changes with the picture.

    The picture's name is not enough: two shards may share it, and a shard may be rewritten.
    """
    if isinstance(source, File):
        stat = source.path.stat()
        known = os.fsencode(f"{source.where} {stat.st_size} {stat.st_mtime_ns}")
    else:
        known = os.fsencode(source.where) + source.load()
    return hashlib.sha256(known).hexdigest()[:20]


def _stem(source: Source) -> str:
    """File name of a picture's label map, without its suffix."""
    return PurePosixPath(source.name).stem


def _where(names: Sequence[str], folders: tuple[str, ...]) -> Path | None:
    """The first existing label map with one of these names."""
    paths = (Path(folder) / f"{name}.png" for folder, name in product(folders, names))
    return next((path for path in paths if path.is_file()), None)


def _read(path: Path, size: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """A label map; None, with a warning, if it cannot be read or has another size."""
    try:
        labels = np.asarray(Image.open(path))
    except (OSError, ImportError) as error:  # Image.open as patched by ultralytics needs pi_heif
        _log.warning("left out: %s: %s", path, error)
        return None
    if labels.shape == size and labels.dtype == np.uint8:
        return labels
    _log.warning("left out: %s: expected one byte per pixel, %s, got %s", path, size, labels.shape)
    return None
