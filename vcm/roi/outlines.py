"""Maps from what detectors find: outlines with scores, painted."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

STEP: Final = 32  # detectors take pictures whose sides are multiples of this
Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]


def painted(size: tuple[int, ...], outlines: Floats, scores: Floats, margin: float) -> Floats:
    """The highest score of the outlines around each pixel, 0 if there are none: (H, W) float32.

    Args:
        size: (H, W) of the picture.
        outlines: (N, 4, 2) float32, x and y in pixels; parts outside the picture are cut off.
        scores: (N,) float32 in [0, 1].
        margin: added on each side, as a share of the shorter side of an outline's rectangle.
    """
    plane = np.zeros(size, np.float32)
    for i in np.argsort(scores, kind="stable"):  # the highest score is painted last
        middle, sides, angle = cv2.minAreaRect(outlines[i])
        rim = 2 * margin * min(sides)
        corners = cv2.boxPoints((middle, (sides[0] + rim, sides[1] + rim), angle))
        cv2.fillConvexPoly(plane, np.rint(corners).astype(np.int32), [float(scores[i])])
    return plane


def fitted(image: Image, scale: float) -> tuple[Image, Floats]:
    """A picture resized by about `scale`, and the exact factors.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H', W', 3) uint8, H' and W' multiples of 32; factors (2,) float32, x and y.
    """
    height, width = image.shape[:2]
    w, h = (max(STEP, STEP * round(n * scale / STEP)) for n in (width, height))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized: Image = cv2.resize(image, (w, h), interpolation=way)  # type: ignore[assignment]
    return resized, np.array([w / width, h / height], np.float32)


def lying_on(plane: Floats, ground: NDArray[np.bool_]) -> Floats:
    """A map without its connected parts that lie less than half on `ground`; both (H, W)."""
    _, parts = cv2.connectedComponents((plane > 0).view(np.uint8))
    sizes = np.bincount(parts.ravel())
    kept = 2 * np.bincount(parts[ground], minlength=len(sizes)) >= sizes
    return np.where(kept[parts], plane, np.float32(0))


def rescaled(plane: Floats, tau: float, to_tau: float, to_growth: float) -> Floats:
    """Similarities of one backend on the scale of another: tau maps to the other's tau.

    Those below tau stay below the other's threshold for faint parts, so that a face is found whole
    or not at all.

    Args:
        plane: (H, W) float32 in [0, 1].
        tau: of the backend that made `plane`.
        to_tau, to_growth: of the other one.
    """
    sure = to_tau + (plane - np.float32(tau)) * np.float32((1 - to_tau) / (1 - tau))
    faint = plane * np.float32(to_tau * to_growth / tau)
    return np.where(plane >= np.float32(tau), sure, faint).astype(np.float32)
