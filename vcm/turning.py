"""How a picture is turned: by the EXIF orientation of its file."""

from typing import Final

from PIL import Image

_WAYS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BACK: Final = {6: 8, 8: 6}  # the others are their own ways back
_TAG: Final = 0x0112


def orientation(picture: Image.Image) -> int:
    """What the file says, 1 to 8; 1, as it lies, if it says nothing that can be understood."""
    try:
        said = picture.getexif().get(_TAG, 1)
    except Exception:  # broken metadata is no reason to refuse the pixels
        return 1
    return said if said in _WAYS else 1


def turned(picture: Image.Image, way: int) -> Image.Image:
    """The picture upright, of one that lies as an orientation says."""
    return picture.transpose(_WAYS[way]) if way in _WAYS else picture
