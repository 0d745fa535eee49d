"""Masks from boxes."""

from collections.abc import Sequence

import numpy as np

from vcm.errors import SpecError
from vcm.roi.mask import RoiMask

Box = tuple[int, int, int, int]  # x, y, width, height in pixels, half-open


def parse_box(text: str) -> Box:
    """The box in "x,y,width,height".

    Raises:
        SpecError: if these are not four integers, or the box is empty.
    """
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise SpecError(f"box: expected x,y,width,height in pixels, got {text!r}") from error
    if width < 1 or height < 1:
        raise SpecError(f"box: expected a width and height of 1 or more, got {text!r}")
    return x, y, width, height


def from_boxes(boxes: Sequence[Box], size: tuple[int, ...], sigma: float) -> RoiMask:
    """The union of boxes in a picture of size (H, W); parts outside it are cut off.

    Raises:
        SpecError: if a box lies wholly outside.
    """
    roi = np.zeros(size, np.bool_)
    for x, y, width, height in boxes:
        inside = roi[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
        if inside.size == 0:
            raise SpecError(
                f"box: {x},{y},{width},{height} is outside of the picture, "
                f"which has {size[1]}x{size[0]} pixels"
            )
        inside[:] = True
    return RoiMask(roi, sigma, f"{len(boxes)} box{'es' if len(boxes) > 1 else ''}")
