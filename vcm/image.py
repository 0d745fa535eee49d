"""Pictures in and out: any common file to uint8 RGB, upright, and back."""

import io
import logging
from pathlib import Path, PurePath
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vcm import pixels
from vcm.errors import ImageError
from vcm.files import write_atomic
from vcm.greys import FAINT, SHOWN, check_colours, check_largest, check_shape, inside
from vcm.loading import MAX_BYTES, load
from vcm.pixels import AS_USUAL, MAX_PIXELS, Colour, Reading, flat, told, values, way_up

__all__ = ["AS_USUAL", "MAX_BYTES", "MAX_PIXELS", "Reading", "load", "told", "way_up"]
_log = logging.getLogger(__name__)
# File name suffix -> Pillow's format and how it is saved; None = read only.
_SAVE: Final[dict[str, tuple[str, dict[str, object] | None]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jfif": ("JPEG", None),
    ".webp": ("WEBP", {"lossless": True}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {"compression": "tiff_lzw"}),
    ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".ppm": ("PPM", {}),
    ".pgm": ("PPM", None),
    ".gif": ("GIF", None),
    ".jp2": ("JPEG2000", None),
    ".avif": ("AVIF", None),
    ".mpo": ("MPO", None),
}
WRITABLE: Final = tuple(suffix for suffix, (_, options) in _SAVE.items() if options is not None)

# Of pictures that cannot be read: they are not left out of a folder without a word.
UNREAD: Final = (
    ".heic", ".heif", ".hif", ".jxl", ".jxr", ".svg", ".psd", ".xcf", ".eps", ".ico", ".tga",
    ".exr", ".hdr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw",
)  # fmt: skip
_WHITE: Final[Colour] = (255, 255, 255, 255)
_BLACK: Final[Colour] = (0, 0, 0, 255)


def read(path: str | Path, how: Reading = AS_USUAL) -> NDArray[np.uint8]:
    """The picture in a file, upright: (H, W, 3) uint8 RGB, writable and contiguous.

    The EXIF orientation is applied; transparent pixels are laid over white; 16-bit greyscale is
    rounded to 8 bit, 16-bit colour keeps its high bytes; samples that by the file's own words, or
    by `how`, have fewer bits are scaled by these; greyscale, palette and CMYK become RGB; of an
    animation the first frame counts; colour profiles are ignored. Of a JPEG that ends too early
    what is missing is grey, with a warning in the log.

    Raises:
        ImageError: no such file, not a picture, damaged, a side over `MAX_SIDE`, or more than
            `MAX_PIXELS` pixels (checked before anything is decoded).
    """
    return flat(load(Path(path)), str(path), _WHITE, how)


def parse(data: bytes, name: str, how: Reading = AS_USUAL) -> NDArray[np.uint8]:
    """The picture in the bytes of a file, as `read` would give it.

    Args:
        name: of the file, for messages.

    Raises:
        ImageError: as for `read`.
    """
    return flat(data, name, _WHITE, how)


def size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width that the header of a file says, before it is turned upright.

    Args:
        name: of the file, for messages.

    Raises:
        ImageError: as for `read`, but for damage behind the header.
    """
    return pixels.size(data, name)


def read_mask(path: str | Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask in a picture file: (H, W) bool, true where the grey value is over 127.

    Transparent pixels are outside. `size` is the (H, W) that the mask must have, upright.

    Raises:
        ImageError: as for `read`; another size; colours, as maps of classes have them; no value
            over 127 though some are over 0, such as a mask saved as 0 and 1; or none but 255 over
            127 beside numbers of classes.
    """
    data = load(Path(path))
    deep = values(data, str(path))
    if deep is not None:  # of 16 bits: 1 of 65535 is not black
        check_largest(deep, 0.5, str(path))
    return inside(_grey(data, str(path)), size, str(path))


def read_values(path: str | Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """The mask values in a picture file: (H, W) float32 in [0, 1], its grey values by the largest.

    That is 255, or 65535 in a PNG file of 16 bits. Transparent pixels are 0. `size` is as for
    `read_mask`.

    Raises:
        ImageError: as for `read`; if it has another size or colours; or if some values are over 0
            but none over a sixteenth, as in a mask saved as 0 and 1, or one of 12 bits in 16.
    """
    data = load(Path(path))
    found = values(data, str(path))
    if found is None:
        found = _grey(data, str(path)).astype(np.float32) / 255
    check_shape(found, size, str(path))
    check_largest(found, FAINT, str(path))
    return found


def _grey(data: bytes, name: str) -> NDArray[np.uint8]:
    """A picture without colours: (H, W) uint8, upright."""
    picture = flat(data, name, _BLACK, AS_USUAL)
    check_colours(picture, name)
    return np.asarray(Image.fromarray(picture).convert("L"))


def write(path: str | Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Saves (H, W, 3) RGB or (H, W) greyscale, uint8, whole or not at all.

    As .png (H, W) uint16 as well.

    The suffix names the format: see `WRITABLE`. JPEG is saved at quality 95 without chroma
    subsampling; every other format is lossless.

    Raises:
        ImageError: an unknown suffix, or a picture that the format cannot hold.
        OutputError: the file cannot be written.
    """
    write_atomic(Path(path), packed(Path(path), image))


def packed(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """The bytes of the file that `write` would write.

    Raises:
        ImageError: as for `write`.
    """
    file_format = format_of(path)
    options = _SAVE[path.suffix.lower()][1] or {}
    shaped = image.ndim in (2, 3) and image.shape[2:] in ((), (3,)) and image.size > 0
    deep = image.dtype == np.uint16 and image.ndim == 2 and file_format == "PNG"
    if not shaped or not (deep or image.dtype == np.uint8):
        raise ImageError(
            f"expected uint8 of shape (H, W, 3) or (H, W), or uint16 of (H, W) for .png, "
            f"got {image.dtype} {image.shape}"
        )
    buffer = io.BytesIO()
    try:
        Image.fromarray(image).save(buffer, format=file_format, **options)
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(
            f"{file_format} cannot hold a picture of {image.shape[1]}x{image.shape[0]} pixels "
            f"({error}); save it as .png"
        ) from error
    return buffer.getvalue()


def format_of(path: Path) -> str:
    """Pillow's name of the format that `write` would use, to refuse a suffix before the work.

    Raises:
        ImageError: an unknown suffix; the message lists the known ones.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ImageError(
            f"cannot write {str(path)!r}: expected one of {' '.join(WRITABLE)}, "
            f"got {suffix or 'no suffix'}"
        )
    return _SAVE[suffix][0]


def folder(path: str | Path) -> list[Path]:
    """The picture files directly in a folder, told by suffix, sorted by name.

    Subfolders are not entered. Names that begin with a dot are skipped: they are leftovers of
    other programs. Pictures that cannot be read are named in the log.

    Raises:
        ImageError: not a folder, or no picture in it.
    """
    path = Path(path)
    entries = _entries(path)
    found = [entry for entry in entries if is_picture(entry.name) and entry.is_file()]
    if not found:
        raise ImageError(
            f"no picture directly in {str(path)!r}: expected files named {' '.join(_SAVE)}"
        )
    if left := left_out(path):
        _log.warning("%s: left out: %s", path, summed(left))
    return found


def left_out(path: Path) -> list[str]:
    """The names in a folder of pictures that `folder` leaves out: of other formats, or of links
    that lead nowhere.

    Raises:
        ImageError: not a folder.
    """
    seen = [entry for entry in _entries(path) if not entry.name.startswith(".")]
    return [
        entry.name
        for entry in seen
        if entry.suffix.lower() in UNREAD or (is_picture(entry.name) and not entry.exists())
    ]


def summed(names: list[str]) -> str:
    """How many there are, and the first of them."""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise ImageError(f"cannot list the folder {str(path)!r}: {error.strerror}") from error


def is_picture(name: str) -> bool:
    """Whether a file is one of ours to read, told by the suffix of its name."""
    path = PurePath(name)
    return path.suffix.lower() in _SAVE and not path.name.startswith(".")
