"""Pictures of more than 8 bits a sample: how many of 16 mean something, and those in 8."""

from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vcm import png
from vcm.errors import ImageError

GREY: Final = ("I;16", "I;16L", "I;16B", "I;16N")
FULL: Final = 2**16 - 1
DARK: Final = 2**14  # what no sample reaches that has 14 bits or fewer
_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE = 258, 281  # of TIFF
Values = NDArray[np.uint16]
Say = Callable[[str], None]


def is_deep_colour(picture: Image.Image) -> bool:
    """Whether samples in the file of a colour picture, not decoded yet, have 16 bits."""
    return picture.mode in ("RGB", "RGBA") and any(
        ";16" in str(tile) for tile in getattr(picture, "tile", ())
    )


def grey(picture: Image.Image, data: bytes, bits: int | None, say: Say) -> Image.Image:
    """A decoded picture that has one sample a pixel, in 8 bits; others as they are.

    Args:
        data: the bytes of its file.
        bits: that mean something, None: as the file says, or all.
        say: is told if the picture looks as if it had fewer.

    Raises:
        ImageError: if its samples have 32 bits, or more than they should.
    """
    # Mode I has 32 bits, but Pillow's readers of these two formats fill 16 of them.
    if picture.mode in GREY or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        values = np.asarray(picture).astype(np.uint16)
        return Image.fromarray(_scaled(values, _top(values, picture, data, bits, say)))
    if picture.mode in ("I", "F"):
        raise ImageError(
            f"expected 8 or 16 bits a sample, got 32 (mode {picture.mode}); convert it to PNG"
        )
    return picture


def colour(picture: Image.Image, data: bytes, bits: int | None, say: Say) -> Image.Image | None:
    """A picture of 16-bit colours, as it lies in the file, in 8 bits.

    None where the high bytes, which Pillow reads, are all that is wanted. Arguments as of `grey`.
    """
    if bits is None and np.asarray(picture).max() >= DARK >> 8:
        return None
    values: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    top = _top(values, picture, data, bits, say)
    order = [2, 1, 0, 3][: values.shape[2]]  # OpenCV's is blue, green, red
    return None if top == FULL else Image.fromarray(_scaled(values[..., order], top))


def _top(values: Values, picture: Image.Image, data: bytes, bits: int | None, say: Say) -> int:
    """The value that stands for white."""
    most = int(values.max())
    if bits is not None:
        if most >= 2**bits:
            raise ImageError(f"expected samples of {bits} bits, got the value {most}")
        return int(2**bits - 1)
    said = _said(values, picture, data)
    if most <= said < FULL:
        return said
    if 0 < most < DARK:
        say(
            f"no sample is over {most} of {FULL}: if samples have {most.bit_length()} bits, or a "
            f"few more, the picture is too dark; give the number of bits"
        )
    return FULL


def _said(values: Values, picture: Image.Image, data: bytes) -> int:
    """The largest value by the file's own words."""
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        sides = (tags.get(_MAX_SAMPLE_VALUE), 2 ** np.max(tags.get(_BITS_PER_SAMPLE, 16)) - 1)
        return min(int(np.max(side)) for side in sides if side is not None)
    bits = png.significant_bits(data) if picture.format == "PNG" else None
    # by the standard samples are shifted to the top; then all of them are multiples
    if bits is None or not 8 < bits < 16 or not (values % 2 ** (16 - bits)).any():
        return FULL
    return int(2**bits - 1)


def _scaled(values: Values, top: int) -> NDArray[np.uint8]:
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
