"""Pictures of more than 8 bits a sample: how many of 16 mean something, and those in 8."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
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
_SIZES: Final = b"\xff\x4f\xff\x51"  # how the stream of a JPEG 2000 begins
Values = NDArray[np.uint16]


@dataclass(frozen=True)
class Depth:
    """How many values of 16 bits mean something.

    Attributes:
        said: the largest one by the file's words, see `said`.
        bits: by the caller's, which win; None: they say nothing.
        say: is told if the picture looks as if it had fewer.
    """

    said: int
    bits: int | None
    say: Callable[[str], None]

    def white(self, values: Values, picture: Image.Image) -> int:
        """The value that stands for white.

        Raises:
            ImageError: if a sample has more bits than the caller says.
        """
        most = int(values.max())
        if self.bits is not None:
            if most >= 2**self.bits:
                raise ImageError(f"expected samples of {self.bits} bits, got the value {most}")
            return int(2**self.bits - 1)
        # by PNG's standard samples are shifted to the top; then all of them are multiples
        shifted = (
            picture.format == "PNG" and not (values % 2 ** (16 - self.said.bit_length())).any()
        )
        if most <= self.said < FULL and not shifted:
            return self.said
        if 0 < most < DARK:
            self.say(
                f"no sample is over {most} of {FULL}: if samples have {most.bit_length()} bits, "
                f"or a few more, the picture is too dark; give the number of bits"
            )
        return FULL


def said(picture: Image.Image, data: bytes) -> int | None:
    """The largest value that samples can have, by the words of a file that is not decoded yet.

    None where they have 8 bits or fewer.
    """
    tiles: Any = getattr(picture, "tile", ())
    if picture.format == "JPEG2000":
        bits = _precision(data)
        return 2**bits - 1 if bits > 8 else None
    if picture.format == "PPM" and isinstance(tiles[0].args, tuple):  # not one of Pillow's own
        most = int(tiles[0].args[-1])
        return most if most > 255 else None
    if picture.mode not in GREY and ";16" not in str(tiles):
        return None
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        sides = (tags.get(_MAX_SAMPLE_VALUE), 2 ** np.max(tags.get(_BITS_PER_SAMPLE, 16)) - 1)
        return min(int(np.max(side)) for side in sides if side is not None)
    significant = png.significant_bits(data) if picture.format == "PNG" else None
    if significant is None or not 8 < significant < 16:
        return FULL
    return int(2**significant - 1)


def grey(picture: Image.Image, data: bytes, depth: Depth) -> Image.Image:
    """A decoded picture that has one sample a pixel, in 8 bits; others as they are.

    Args:
        data: the bytes of its file.

    Raises:
        ImageError: if its samples have 32 bits, or more than they should; if bits are asked for
            and OpenCV, which alone tells the low ones, cannot read it.
    """
    # Mode I has 32 bits, but Pillow's readers of these two formats fill 16 of them.
    if picture.mode in GREY or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        values = np.asarray(picture).astype(np.uint16)
        if picture.format in ("PPM", "JPEG2000") and depth.said < FULL:  # Pillow stretched them
            if depth.bits is None:
                return Image.fromarray(_scaled(values, FULL))
            values = _stored(picture, data, depth.bits)
        return Image.fromarray(_scaled(values, depth.white(values, picture)))
    if picture.mode in ("I", "F"):
        raise ImageError(
            f"expected 8 or 16 bits a sample, got 32 (mode {picture.mode}); convert it to PNG"
        )
    return picture


def colour(picture: Image.Image, data: bytes, depth: Depth) -> Image.Image | None:
    """A decoded picture of deep colours, as it lies in the file, in 8 bits.

    None where the high bytes, which Pillow reads, are all that is wanted. Arguments as of `grey`.

    Raises:
        ImageError: as of `grey`.
    """
    wraps = picture.format == "JPEG2000"  # Pillow rounds what is nearly white up, to black
    if not wraps and depth.bits is None and np.asarray(picture).max() >= DARK >> 8:
        return None
    values = _stored(picture, data, depth.bits)
    if values is None:
        return None
    top = depth.white(values, picture)
    order = [2, 1, 0, 3][: values.shape[2]]  # OpenCV's is blue, green, red
    return None if top == FULL and not wraps else Image.fromarray(_scaled(values[..., order], top))


def _stored(picture: Image.Image, data: bytes, bits: int | None) -> Any:
    """The samples as they lie in the file, (H, W) or (H, W, C) uint16.

    None if OpenCV cannot read them and Pillow's high bytes will do.
    """
    values = None
    if picture.mode in (*GREY, "I", "RGB", "RGBA"):  # it takes the colours of print for others
        with suppress(cv2.error):  # more pixels than it takes
            values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    shape = (picture.height, picture.width)
    if values is not None and values.dtype == np.uint16 and values.shape[:2] == shape:
        channels = values.shape[2:]
        if channels in ((), (3,), (4,)) and bool(channels) == (picture.mode in ("RGB", "RGBA")):
            return values
    if bits is not None or picture.format == "JPEG2000":
        raise ImageError(
            f"expected colours or greys of more than 8 bits that OpenCV can read, got a "
            f"{picture.format} (mode {picture.mode}) that it cannot; convert it to PNG"
            f"{' or leave the number of bits out' if bits is not None else ''}"
        )
    return None


def _precision(data: bytes) -> int:
    """The most bits that a sample has by the header of a JPEG 2000."""
    start = data.find(_SIZES)
    parts = data[start + 40 : start + 42] if start >= 0 else b""
    depths = data[start + 42 : start + 42 + 3 * int.from_bytes(parts)]
    return max(((depth & 0x7F) + 1 for depth in depths[::3]), default=8)


def _scaled(values: Values, top: int) -> NDArray[np.uint8]:
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
