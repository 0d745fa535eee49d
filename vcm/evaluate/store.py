"""Coded files by what they depend on: a second task or metric costs no second encode."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm.errors import SpecError
from vcm.evaluate.rated import Image, RatedCodec
from vcm.files import make_folder, write_atomic
from vcm.roi.mask import RoiMask


def default_folder() -> Path:
    """Where coded files are kept if nobody says where.

    Raises:
        SpecError: if there is no home folder.
    """
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:  # HOME is unset and the user unknown, as in some containers
        raise SpecError(
            "there is no home folder to keep coded files in, and XDG_CACHE_HOME is not set",
            hint="cache",
        ) from error
    return Path(home) / "vcm" / "files"


def writable(folder: Path) -> Path:
    """The folder, of which it is known afterwards that files can be written there.

    Raises:
        OutputError: if they cannot.
    """
    probe = make_folder(folder) / f"probe-{os.getpid()}"
    write_atomic(probe, b"")
    probe.unlink(missing_ok=True)
    return folder


class Store:
    """A folder of coded files, shared by evaluations and processes.

    Args:
        folder: None: nothing is kept.
    """

    def __init__(self, folder: Path | None):
        self._folder = folder

    def encoded(self, codec: RatedCodec, image: Image, mask: RoiMask, setting: float) -> bytes:
        """The file of a picture: an earlier one if everything it depends on is the same."""
        if self._folder is None:
            return codec.encode(image, mask, setting)
        key = name(codec, image, mask, setting)
        path = self._folder / key[:2] / key[2:]
        if path.is_file():
            return path.read_bytes()
        data = codec.encode(image, mask, setting)
        make_folder(path.parent)
        write_atomic(path, data)
        return data


def name(codec: RatedCodec, image: Image, mask: RoiMask, setting: float) -> str:
    """SHA-256 in hex of codec, setting, pixels and, if the codec uses it, mask."""
    total = hashlib.sha256(f"2 {codec.key} {setting:g} {image.shape}".encode())
    parts: list[NDArray[Any]] = [image]
    if codec.uses_roi:  # the value outside is in the codec's key
        parts.append(np.packbits(mask.roi) if mask.two_valued else mask.inside)
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes())
    return total.hexdigest()
