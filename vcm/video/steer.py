"""How a codec is told what matters: frames as they are, a quiet background, or a map of QPs."""

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.anchors.roi import quiet
from vcm.roi.mask import RoiMask
from vcm.video.clip import Image

BLUR: Final = 3.0  # pixels, the standard deviation of the blur outside; as the anchors have it


class Told(NamedTuple):
    """What an encoder is given of a frame.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        roi: (H, W) bool, the part that has the QP of the settings; None: all of it.
        steps: QPs by which the rest is coarser.
    """

    image: Image
    roi: NDArray[np.bool_] | None = None
    steps: int = 0


def steps_of(sigma: float) -> int:
    """QPs by which a background of this value is coarser.

    Its squared error weighs sigma^2, so its lambda is that of the ROI over sigma^2, and in HEVC
    lambda doubles every three QPs: 6 for sigma 0.5, 20 for 0.1.
    """
    return round(6 * math.log2(1 / sigma))


def _as_it_is(image: Image, mask: RoiMask) -> Told:
    return Told(image)


def _blurred(image: Image, mask: RoiMask) -> Told:
    return Told(quiet(image, mask.roi, BLUR))


def _mapped(image: Image, mask: RoiMask) -> Told:
    return Told(image, None if mask.roi.all() else mask.roi, steps_of(mask.sigma))


MODES: Final[Mapping[str, Callable[[Image, RoiMask], Told]]] = {
    "": _as_it_is,
    "blur": _blurred,
    "roi": _mapped,
}
