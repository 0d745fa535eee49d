"""Masks that are weighed by what a task model looks at, where a codec's text asks for it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vcm import plugin
from vcm.importance import LEARNED, Importance
from vcm.roi.embedded import built_in
from vcm.roi.mask import RoiMask

Weigh = Callable[[NDArray[np.uint8], RoiMask], RoiMask]  # of a picture, (H, W, 3) RGB


def alone(image: NDArray[np.uint8], mask: RoiMask) -> RoiMask:
    """The mask as it is."""
    return mask


def weighing(name: str | None, device: str = "cpu") -> Weigh:
    """What weighs masks by a task model's importance; None: nothing does."""
    return Importance(name, device).applied if name else alone


def identity(name: str | None) -> str:
    """What files depend on besides the name; "" if nothing weighs masks."""
    if not name:
        return ""
    if name == LEARNED:
        return f" {built_in()}"
    path = plugin.file_of(name) if plugin.is_plugin(name) else Path(name.rpartition(":")[2])
    return f" {hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else f" {name}"
