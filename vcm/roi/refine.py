"""Coarse similarity maps, refined to follow the edges of the picture."""

from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

GUIDE: Final = 1024  # largest side at which the filter's coefficients are computed
REACH: Final = 1 / 64  # of the larger side: how far the map may be off an edge
FLATNESS: Final = 1e-3  # variance of grey values below which an area counts as flat


def to_edges(
    maps: Iterable[NDArray[np.float32]], image: NDArray[np.uint8]
) -> Iterator[NDArray[np.float32]]:
    """The maps at the picture's size, each a locally linear function of its grey values.

    They are yielded one by one: those of 80 words for 12 megapixels would take 4 GB.

    Source: He, Sun, Tang 2013, "Guided image filtering"; He and Sun 2015, arXiv:1505.00996 (the
    coefficients at a bounded size, which bounds time and memory, except those of the result).

    Args:
        maps: each (h, w) float32 in [0, 1].
        image: (H, W, 3) uint8, RGB.

    Yields:
        (H, W) float32 in [0, 1].
    """
    height, width = image.shape[:2]
    scale = min(1.0, GUIDE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    guide = cv2.resize(grey, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    side = 2 * max(1, round(REACH * max(small))) + 1
    mean = _mean(guide, side)
    spread = _mean(guide * guide, side) - mean * mean + FLATNESS
    for coarse in maps:
        p = _resized(coarse, small)
        level = _mean(p, side)
        slope = (_mean(guide * p, side) - mean * level) / spread
        offset = level - slope * mean
        target = _resized(_mean(slope, side), (width, height))
        cv2.multiply(target, grey, target, 1 / 255, cv2.CV_32F)
        cv2.add(target, _resized(_mean(offset, side), (width, height)), target)
        yield np.clip(target, 0, 1, out=target)


def _resized(t: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return cv2.resize(t, size)  # type: ignore[return-value]


def _mean(t: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return cv2.blur(t, (side, side))  # type: ignore[return-value]
