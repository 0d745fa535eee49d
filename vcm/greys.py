"""Pictures that are masks: what grey values say, and which pictures are refused."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.errors import ImageError

TINT: Final = 24  # levels by which the colours of a mask may differ: JPEG's do
SHOWN: Final = 8  # names in a message
FAINT: Final = 1 / 16  # of white: mask values under it alone are numbers of classes, or of 12 bits


def inside(grey: NDArray[np.uint8], size: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """Where a grey mask is over 127: (H, W) bool.

    Args:
        grey: (H, W) uint8.
        size: (H, W) that the mask must have.
        name: of its file, for messages.

    Raises:
        ImageError: another size; no value over 127 though some are over 0, such as a mask saved as
            0 and 1; or none but 255 over 127 beside numbers of classes.
    """
    check_shape(grey, size, name)
    if 0 < grey.max() <= 127:
        raise ImageError(
            f"mask {name!r}: no value is over 127 (the largest is {grey.max()}); "
            f"save it with 0 outside and 255 inside"
        )
    values = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
    if len(values) > 2 and values[-2] <= 127:  # smooth edges have values on both sides
        raise ImageError(
            f"mask {name!r}: its values are {', '.join(map(str, values[:SHOWN]))}, as in a "
            f"map of classes; save it with 0 outside and 255 inside"
        )
    found: NDArray[np.bool_] = grey > 127
    return found


def check_largest(found: NDArray[np.float32], least: float, name: str) -> None:
    """Refuse a mask (H, W) in [0, 1] that selects something, and nothing by more than `least`."""
    largest = float(found.max())
    if 0 < largest <= least:
        raise ImageError(
            f"mask {name!r}: no value is over {100 * least:.2g} % of white (the largest is "
            f"{100 * largest:.2g} %); save it with white where it matters most"
        )


def check_shape(grey: NDArray[Any], size: tuple[int, int], name: str) -> None:
    """Refuse a mask of another size (H, W) than its picture's."""
    if grey.shape != size:
        raise ImageError(
            f"mask {name!r}: expected {size[1]}x{size[0]} pixels like the picture, "
            f"got {grey.shape[1]}x{grey.shape[0]}"
        )


def check_colours(picture: NDArray[np.uint8], name: str) -> None:
    """Refuse a mask (H, W, 3) with colours: what is inside is not plain."""
    if np.ptp(picture.astype(np.int16), 2).max() > TINT:
        raise ImageError(
            f"mask {name!r}: it has colours, such as those of a map of classes; save what matters "
            f"as white on black"
        )
