"""Where things were a frame ago: dense flow, and what it carries."""

from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.draw import within
from vcm.video.clip import Image

Floats = NDArray[np.float32]
SIDE: Final = 384  # pixels: motion is smooth, and this is four times as fast as 768
CUT: Final = 25.0  # grey levels that neighbouring frames of one scene do not differ by


class Motion(NamedTuple):
    """From a frame to the next.

    Attributes:
        places: (h, w, 2) float32, x and y in the frame before, of each pixel of a small picture.
        is_cut: whether the frames show different scenes.
    """

    places: Floats
    is_cut: bool


class Flow:
    """DIS optical flow between frames that come one after another.

    Source: Kroeger et al. 2016, arXiv:1603.03590, as OpenCV has it.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._before: NDArray[np.uint8] | None = None

    def __call__(self, image: Image) -> Motion | None:
        """What moved since the last frame; None: there was none. Image: (H, W, 3) uint8 RGB."""
        now = cv2.cvtColor(within(image, SIDE), cv2.COLOR_RGB2GRAY).astype(np.uint8)
        before, self._before = self._before, now
        if before is None or before.shape != now.shape:
            return None
        shift = self._dis.calc(now, before, np.zeros((*now.shape, 2), np.float32))
        rows, columns = np.indices(now.shape, np.float32)
        places = (shift + np.stack([columns, rows], -1)).astype(np.float32)
        apart = cv2.absdiff(carried(before, places), now)
        return Motion(places, bool(apart.mean() > CUT))


def carried(plane: NDArray[Any], places: Floats) -> NDArray[Any]:
    """What a plane becomes by the motion; at the border it goes on as it ends there.

    Args:
        plane: (H, W) or (H, W, C) uint8 or float32 of the frame before, of any size.
        places: see `Motion`.
    """
    height, width = plane.shape[:2]
    rows, columns = places.shape[:2]
    if (rows, columns) != (height, width):
        scale = np.array([width / columns, height / rows], np.float32)
        # corners of pixels, not their middles, are what a scale moves
        places = (cv2.resize(places, (width, height)) + 0.5) * scale - 0.5
    x, y = places[..., 0], places[..., 1]
    return cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
