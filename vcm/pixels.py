"""From the bytes of a picture file to 8 bits a sample, upright and opaque."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vcm import deep, png
from vcm.container import MAX_SIDE
from vcm.errors import ImageError, SpecError
from vcm.turning import BACK, orientation, turned

_log = logging.getLogger(__name__)
MAX_PIXELS: Final = 2**27  # 134 million; below the size at which Pillow itself refuses
# Nothing else is ever opened: some of Pillow's other readers start programs (EPS) or are seldom
# tested.
FORMATS: Final = frozenset(
    ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG2000", "AVIF", "MPO")
)
Colour = tuple[int, int, int, int]  # red, green, blue, alpha
_END: Final = b"\xff\xd9"  # of a JPEG
_TABLE: Final = b"\xff\xc4"  # header that comes before some scans of a progressive one
_SCAN: Final = b"\xff\xda"  # header of each scan
T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """How picture files are read.

    Attributes:
        upright: whether they are turned as their EXIF orientation says.
        strict: whether a JPEG that ends too early is refused; else what is missing is grey, as
            OpenCV has it, and a warning.
        bits: of samples that lie in 16; None: as the file says, or all 16.

    Raises:
        SpecError: if bits are not 9 to 16.
    """

    upright: bool = True
    strict: bool = False
    bits: int | None = None

    def __post_init__(self) -> None:
        if self.bits is not None and not 9 <= self.bits <= 16:
            raise SpecError(f"bits of a sample: expected 9 to 16, got {self.bits}")


AS_USUAL: Final = Reading()
_told: ContextVar[list[str] | None] = ContextVar("told", default=None)


@contextmanager
def told() -> Iterator[list[str]]:
    """Collects the warnings of a picture that is read meanwhile, which are logged else."""
    lines: list[str] = []
    token = _told.set(lines)
    try:
        yield lines
    finally:
        _told.reset(token)


def flat(data: bytes, name: str, background: Colour, how: Reading) -> NDArray[np.uint8]:
    """The picture of a file, upright and opaque: (H, W, 3) uint8 RGB.

    Args:
        data: the bytes of the file.
        name: of the file, for messages.
        background: seen through transparent pixels.

    Raises:
        ImageError: not a picture, damaged, too large, or cut off where that is not allowed.
    """

    def read(data: bytes) -> NDArray[np.uint8]:
        return _flat(data, name, background, how)

    try:
        return _readable(data, name, read)
    except _CutOff:
        picture = _mended(data, name, read)
        _say(name, "the JPEG is truncated; any missing part is grey")
        return picture


class _CutOff(Exception):
    """A JPEG that lacks its end."""


def _mended(data: bytes, name: str, read: Callable[[bytes], T]) -> T:
    """What is read of a JPEG that lacks its end."""
    with suppress(_CutOff, ImageError):
        return read(data + _END)
    # it ends within a header, which takes in the mark of the end
    whole = data[: max(data.rfind(_TABLE), data.rfind(_SCAN))]
    if _SCAN in whole:
        with suppress(_CutOff):
            return read(whole + _END)
    raise ImageError(f"{name!r}: the JPEG is truncated before its pixels; get a fresh copy")


class _LongText(ImageError):
    """A PNG with a text or a colour profile that Pillow takes for an attack."""


def _readable(data: bytes, name: str, read: Callable[[bytes], T]) -> T:
    """What is read of a file; of a PNG whose texts Pillow refuses, without these."""
    with suppress(_LongText):
        return read(data)
    with suppress(_LongText):
        return read(png.without_texts(data, png.TURNED))
    _say(name, "its EXIF data is too long to be read; the picture is left as it is stored")
    return read(png.without_texts(data))


def values(data: bytes, name: str) -> NDArray[np.float32] | None:
    """The samples of a PNG file of 16-bit grey: (H, W) float32 in [0, 1]; None of any other file.

    Raises:
        ImageError: as `flat`.
    """

    def read(data: bytes) -> NDArray[np.float32] | None:
        with _opened(data, name) as picture:
            if picture.format != "PNG" or picture.mode not in ("I", *deep.GREY):
                return None
            picture.load()
            return np.asarray(turned(picture, orientation(picture))).astype(np.float32) / (
                2**16 - 1
            )

    return _readable(data, name, read)


def _flat(data: bytes, name: str, background: Colour, how: Reading) -> NDArray[np.uint8]:
    with _opened(data, name) as picture:
        said, is_tiff = deep.said(picture, data), picture.format == "TIFF"
        way = orientation(picture) if is_tiff else 0  # Pillow turns them as it decodes
        _load(picture, how)
        way = way or orientation(picture)
        depth = deep.Depth(said or deep.FULL, how.bits, partial(_say, name))
        is_grey = picture.mode in ("I", "F", *deep.GREY)
        as_it_lies = None if said is None or is_grey else deep.colour(picture, data, depth)
        plain = as_it_lies or deep.grey(picture, data, depth)
        if as_it_lies is None and is_tiff:
            plain = plain if how.upright else turned(plain, BACK.get(way, way))
        elif how.upright:
            plain = turned(plain, way)
        return np.array(_opaque(plain, background).convert("RGB"))


def _load(picture: Image.Image, how: Reading) -> None:
    try:
        picture.load()
    except OSError as error:
        if how.strict or picture.format not in ("JPEG", "MPO") or "truncated" not in str(error):
            raise
        raise _CutOff from error


def size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width that the header of a file says, before it is turned upright.

    Raises:
        ImageError: as `flat`, but for damage behind the header.
    """

    def read(data: bytes) -> tuple[int, int]:
        with _opened(data, name) as picture:
            return picture.height, picture.width

    return _readable(data, name, read)


def way_up(data: bytes, name: str) -> int:
    """The EXIF orientation that the header of a file says, 1 to 8; 1: as it lies.

    Raises:
        ImageError: as `size`.
    """

    def read(data: bytes) -> int:
        with _opened(data, name) as picture:
            return orientation(picture)

    return _readable(data, name, read)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """The file's picture, not decoded yet; what is raised while it is used is an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs and odd metadata: we check for ourselves
            Image.init()
            # Not Image.open(path): the memory map that this makes is wrong for turned TIFFs.
            with Image.open(io.BytesIO(data), formats=sorted(FORMATS & set(Image.OPEN))) as picture:
                _check_size(*picture.size)
                yield picture
    except (ImageError, SpecError) as error:
        raise ImageError(f"{name!r}: {error}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name!r} is too large: {error}; shrink or crop it") from error
    except (UnidentifiedImageError, ImportError) as error:  # ultralytics' Image.open wants pi_heif
        raise ImageError(
            f"{name!r} is not a picture that can be read; convert it to PNG or JPEG"
        ) from error
    except (MemoryError, _CutOff):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        if "MAX_TEXT" in str(error):
            raise _LongText(f"{name!r}: {error}; save it without texts") from error
        raise ImageError(
            f"{name!r} cannot be read as a picture ({error}); it may be damaged: get a fresh copy"
        ) from error


def _check_size(width: int, height: int) -> None:
    sides = range(1, MAX_SIDE + 1)
    if width not in sides or height not in sides or width * height > MAX_PIXELS:
        raise ImageError(
            f"expected 1 to {MAX_SIDE} pixels a side and at most {MAX_PIXELS} in all, "
            f"got {width}x{height}: shrink or crop it"
        )


def _opaque(picture: Image.Image, background: Colour) -> Image.Image:
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, background), layer)
    return picture


def _say(name: str, line: str) -> None:
    lines = _told.get()
    if lines is None:
        _log.warning("%r: %s", name, line)
    else:
        lines.append(line)
