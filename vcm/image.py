"""Pictures in and out: any common file to uint8 RGB, upright, and back."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vcm.container import MAX_SIDE
from vcm.errors import ImageError
from vcm.files import write_atomic

MAX_PIXELS: Final = 2**27  # 134 million; below the size at which Pillow itself refuses
MAX_BYTES: Final = 2**30  # of a picture file that is taken into memory as it lies

# File name suffix -> Pillow's format and how it is saved; None = read only. Nothing else is ever
# opened: some of Pillow's other readers start programs (EPS) or are seldom tested.
_SAVE: Final[dict[str, tuple[str, dict[str, object] | None]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
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

_DEEP_GREY: Final = ("I;16", "I;16L", "I;16B", "I;16N")
Colour = tuple[int, int, int, int]  # red, green, blue, alpha
_WHITE: Final[Colour] = (255, 255, 255, 255)
_BLACK: Final[Colour] = (0, 0, 0, 255)


def read(path: str | Path) -> NDArray[np.uint8]:
    """The picture in a file, upright: (H, W, 3) uint8 RGB, writable and contiguous.

    The EXIF orientation is applied; transparent pixels are laid over white; 16-bit greyscale is
    rounded to 8 bit, 16-bit colour keeps its high bytes; greyscale, palette and CMYK become RGB;
    of an animation the first frame counts; colour profiles are ignored.

    Raises:
        ImageError: no such file, not a picture, damaged or truncated, a side over `MAX_SIDE`, or
            more than `MAX_PIXELS` pixels (checked before anything is decoded).
    """
    return _read(Path(path), "RGB", _WHITE)


def parse(data: bytes, name: str) -> NDArray[np.uint8]:
    """The picture in the bytes of a file, as `read` would give it.

    Args:
        name: of the file, for messages.

    Raises:
        ImageError: as for `read`.
    """
    return _decode(io.BytesIO(data), name, "RGB", _WHITE)


def size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width that the header of a file says, before it is turned upright.

    Args:
        name: of the file, for messages.

    Raises:
        ImageError: as for `read`, but for damage behind the header.
    """
    with _opened(io.BytesIO(data), name) as picture:
        return picture.height, picture.width


def read_mask(path: str | Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask in a picture file: (H, W) bool, true where the grey value is over 127.

    Transparent pixels are outside. `size` is the (H, W) that the mask must have, upright.

    Raises:
        ImageError: as for `read`; another size; or no value over 127 though some are over 0,
            such as a mask saved as 0 and 1.
    """
    grey = _read(Path(path), "L", _BLACK)
    if grey.shape != size:
        raise ImageError(
            f"mask {str(path)!r}: expected {size[1]}x{size[0]} pixels like the picture, "
            f"got {grey.shape[1]}x{grey.shape[0]}"
        )
    if 0 < grey.max() <= 127:
        raise ImageError(
            f"mask {str(path)!r}: no value is over 127 (the largest is {grey.max()}); "
            f"save it with 0 outside and 255 inside"
        )
    inside: NDArray[np.bool_] = grey > 127
    return inside


def write(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Saves (H, W, 3) RGB or (H, W) greyscale, uint8, whole or not at all.

    The suffix names the format: see `WRITABLE`. JPEG is saved at quality 95 without chroma
    subsampling; every other format is lossless.

    Raises:
        ImageError: an unknown suffix, or a picture that the format cannot hold.
        OutputError: the file cannot be written.
    """
    write_atomic(Path(path), packed(Path(path), image))


def packed(path: Path, image: NDArray[np.uint8]) -> bytes:
    """The bytes of the file that `write` would write.

    Raises:
        ImageError: as for `write`.
    """
    file_format = format_of(path)
    options = _SAVE[path.suffix.lower()][1] or {}
    shaped = image.ndim in (2, 3) and image.shape[2:] in ((), (3,)) and image.size > 0
    if image.dtype != np.uint8 or not shaped:
        raise ImageError(
            f"expected uint8 of shape (H, W, 3) or (H, W), got {image.dtype} {image.shape}"
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
    other programs.

    Raises:
        ImageError: not a folder, or no picture in it.
    """
    path = Path(path)
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise ImageError(f"cannot list the folder {str(path)!r}: {error.strerror}") from error
    found = [entry for entry in entries if is_picture(entry.name) and entry.is_file()]
    if not found:
        raise ImageError(
            f"no picture directly in {str(path)!r}: expected files named {' '.join(_SAVE)}"
        )
    return found


def is_picture(name: str) -> bool:
    """Whether a file is one of ours to read, told by the suffix of its name."""
    path = PurePath(name)
    return path.suffix.lower() in _SAVE and not path.name.startswith(".")


def load(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        ImageError: no such file, it cannot be read, or it has more than `MAX_BYTES`.
    """
    _check_file(path)
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ImageError(f"{str(path)!r}: expected at most {MAX_BYTES} bytes, got {size}")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read {str(path)!r}: {error.strerror}; check its owner") from error


def _check_file(path: Path) -> None:
    if not path.is_file():
        if path.is_dir():
            raise ImageError(f"{str(path)!r} is a folder; expected a picture file")
        raise ImageError(f"there is no file {str(path)!r}; check the name")


def _read(path: Path, mode: str, background: Colour) -> NDArray[np.uint8]:
    _check_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(
            f"{str(path)!r} cannot be read ({error.strerror}); it may not be yours to read"
        ) from error
    with file:
        return _decode(file, str(path), mode, background)


def _decode(file: BinaryIO, name: str, mode: str, background: Colour) -> NDArray[np.uint8]:
    """The file's picture, upright, opaque, 8 bit: (H, W, 3) for mode RGB, (H, W) for L."""
    with _opened(file, name) as picture:
        picture.load()
        flat = _flatten(_upright(picture), picture.format, background)
        return np.array(flat.convert(mode))


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    """The file's picture, not decoded yet; what is raised while it is used is an ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs and odd metadata: we check for ourselves
            Image.init()
            formats = {name for name, _ in _SAVE.values()} & set(Image.OPEN)
            # Not Image.open(path): the memory map that this makes is wrong for turned TIFFs.
            with Image.open(file, formats=sorted(formats)) as picture:
                _check_size(*picture.size)
                yield picture
    except ImageError as error:
        raise ImageError(f"{name!r}: {error}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name!r} is too large: {error}; shrink or crop it") from error
    except (UnidentifiedImageError, ImportError) as error:  # ultralytics' Image.open wants pi_heif
        raise ImageError(
            f"{name!r} is not a picture that can be read; convert it to PNG or JPEG"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
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


def _upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # broken metadata is no reason to refuse the pixels
        return picture.copy()


def _flatten(picture: Image.Image, file_format: str | None, background: Colour) -> Image.Image:
    """The picture in 8 bit and without transparency."""
    # Mode I has 32 bits, but Pillow's readers of these two formats fill 16 of them.
    if picture.mode in _DEEP_GREY or (picture.mode == "I" and file_format in ("PNG", "PPM")):
        deep = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ImageError(
            f"expected 8 or 16 bits a sample, got 32 (mode {picture.mode}); convert it to PNG"
        )
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, background), layer)
    return picture
