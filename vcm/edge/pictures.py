"""Pictures in and out by OpenCV: what `vcm.image` does with Pillow, for the usual formats."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.errors import ImageError
from vcm.files import write_atomic
from vcm.greys import check_colours, check_shape, inside
from vcm.loading import load

Image = NDArray[np.uint8]  # (H, W, 3) RGB
JPEG: Final = b"\xff\xd8"
WHITE, BLACK = 255, 0
# file name suffix -> how OpenCV saves it: JPEG as `vcm.image` does, all others without loss
WRITABLE: Final[dict[str, list[int]]] = {
    ".png": [],
    ".jpg": [
        cv2.IMWRITE_JPEG_QUALITY, 95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],
    ".tif": [],
    ".bmp": [],
    ".ppm": [],
}  # fmt: skip
READABLE: Final = (*WRITABLE, ".jpeg", ".tiff", ".pgm")


def read(path: Path) -> Image:
    """The picture in a file, turned as EXIF says: (H, W, 3) uint8 RGB; transparency over white.

    Raises:
        ImageError: no such file, or nothing that OpenCV reads.
    """
    return _flat(load(path), str(path), WHITE)


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask in a picture file: (H, W) bool, true where the grey value is over 127.

    Raises:
        ImageError: as `read` and `vcm.greys.inside`; colours.
    """
    return inside(_grey(load(path), str(path)), size, str(path))


def read_values(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """The mask values in a picture file: (H, W) float32 in [0, 1], its grey values by the largest.

    That is 255, or 65535 in a file of 16 bits.

    Raises:
        ImageError: as `read`; another size; colours.
    """
    data = load(path)
    whole = _decoded(data, str(path), cv2.IMREAD_UNCHANGED)
    deep = whole.dtype == np.uint16 and whole.ndim == 2
    found = whole / np.float32(65535) if deep else _grey(data, str(path)) / np.float32(255)
    check_shape(found, size, str(path))
    return found.astype(np.float32)


def check_suffix(path: Path) -> None:
    """Refuse a name before the work.

    Raises:
        ImageError: an unknown suffix; the message lists the known ones.
    """
    if path.suffix.lower() not in WRITABLE:
        raise ImageError(
            f"cannot write {str(path)!r}: expected one of {' '.join(WRITABLE)}, "
            f"got {path.suffix or 'no suffix'}"
        )


def write(path: Path, image: Image) -> None:
    """Saves (H, W, 3) uint8 RGB, whole or not at all.

    Raises:
        ImageError: an unknown suffix, or a picture that the format cannot hold.
        OutputError: the file cannot be written.
    """
    check_suffix(path)
    suffix = path.suffix.lower()
    try:
        _, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), WRITABLE[suffix])
    except cv2.error as error:
        raise ImageError(
            f"{suffix} cannot hold a picture of {image.shape[1]}x{image.shape[0]} pixels; "
            "save it as .png"
        ) from error
    write_atomic(path, data.tobytes())


def _grey(data: bytes, name: str) -> NDArray[np.uint8]:
    """A picture without colours: (H, W) uint8; what is transparent is black."""
    picture = _flat(data, name, BLACK)
    check_colours(picture, name)
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


def _flat(data: bytes, name: str, behind: int) -> Image:
    """A picture in 8 bits, opaque: (H, W, 3) RGB, over a grey value."""
    picture = cv2.cvtColor(_decoded(data, name, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if not data.startswith(JPEG):  # which have no transparency: they are not decoded twice
        whole = _decoded(data, name, cv2.IMREAD_UNCHANGED)
        if whole.shape == (*picture.shape[:2], 4):
            alpha = whole[..., 3:] / np.float32(np.iinfo(whole.dtype).max)
            picture = np.rint(picture * alpha + behind * (1 - alpha)).astype(np.uint8)
    return picture  # type: ignore[return-value]


def _decoded(data: bytes, name: str, how: int) -> NDArray[np.uint8]:
    """As OpenCV has it."""
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:  # no bytes, or more pixels than it takes
        found = None
    if found is None:
        raise ImageError(f"{name!r}: no picture that OpenCV reads; convert it to PNG or JPEG")
    return found  # type: ignore[return-value]
