"""Metrics that agree better with people than PSNR does."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim as _ms_ssim

from vcm.errors import MetricError

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Place = NDArray[np.bool_]  # (H, W)
Plane = NDArray[np.float32]
SIDE_MIN = 161  # pixels: an 11 pixel window at five scales
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales
WINDOW, SPREAD = 11, 1.5  # size and standard deviation of the Gaussian, in pixels
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ms_ssim(a: Image, b: Image) -> float:
    """MS-SSIM over RGB in [0, 1], 1 if equal, by `pytorch-msssim`.

    Source: Wang, Simoncelli, Bovik 2003, "Multiscale structural similarity".

    Args:
        a, b: (H, W, 3) uint8, sides of at least 161.

    Raises:
        MetricError: if the pictures are smaller, or of different sizes.
    """
    _check(a, b)
    x, y = (torch.from_numpy(t.copy()).permute(2, 0, 1)[None].float() for t in (a, b))
    with torch.inference_mode():
        return float(_ms_ssim(x, y, data_range=255))


def ms_ssim_in(a: Image, b: Image, places: Sequence[Place]) -> list[float]:
    """MS-SSIM of parts of a picture; NaN for an empty part.

    As `ms_ssim`, but the mean of each scale is only over the pixels of a part; on coarser scales
    they are weighted by the share that belongs to it. For the whole picture it equals `ms_ssim`.

    Args:
        a, b: (H, W, 3) uint8, sides of at least 161.
        places: the parts, (H, W) bool each.

    Raises:
        MetricError: as `ms_ssim`.
    """
    _check(a, b)
    x, y = a.astype(np.float32), b.astype(np.float32)
    shares = [place.astype(np.float32) for place in places]
    products = [np.ones(3)] * len(shares)
    for number, weight in enumerate(WEIGHTS):
        last = number == len(WEIGHTS) - 1
        similarity = _similarity(x, y, luminance=last)
        means = [_mean(similarity, share) for share in shares]
        products = [p * np.maximum(m, 0) ** weight for p, m in zip(products, means, strict=True)]
        if not last:
            x, y, *shares = (_halved(t) for t in (x, y, *shares))
    return [float(product.mean()) for product in products]


_INNER = slice(WINDOW // 2, -(WINDOW // 2))


def _similarity(x: Plane, y: Plane, luminance: bool) -> Plane:
    """Contrast and structure (and luminance) in each window that lies inside: (h, w, 3)."""

    def mean(t: Plane) -> Plane:
        blurred: Plane = cv2.GaussianBlur(t, (WINDOW, WINDOW), SPREAD)[_INNER, _INNER]  # type: ignore[assignment]
        return blurred

    mx, my = mean(x), mean(y)
    covariance = mean(x * y) - mx * my
    variances = mean(x * x) - mx * mx + mean(y * y) - my * my
    similarity: Plane = (2 * covariance + C2) / (variances + C2)
    return similarity * (2 * mx * my + C1) / (mx * mx + my * my + C1) if luminance else similarity


def _mean(values: Plane, share: Plane) -> NDArray[np.float64]:
    inner = share[_INNER, _INNER]
    if inner.any():
        share = inner
    else:  # a part within half a window of the border gets the nearest windows
        values = np.pad(values, [(WINDOW // 2,) * 2] * 2 + [(0, 0)], mode="edge")
    total = share.sum(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.einsum("hwc,hw->c", values, share, dtype=np.float64) / total
    return mean


def _halved(t: Plane) -> Plane:
    """Means of 2x2 pixels; an odd side gets zeros before it, as pytorch-msssim does."""
    height, width = t.shape[:2]
    padded = np.pad(t, [(height % 2, 0), (width % 2, 0), *[(0, 0)] * (t.ndim - 2)])
    h, w = padded.shape[0] // 2, padded.shape[1] // 2
    halved: Plane = padded.reshape(h, 2, w, 2, *t.shape[2:]).mean((1, 3))
    return halved


def _check(a: Image, b: Image) -> None:
    if a.shape != b.shape or min(a.shape[:2]) < SIDE_MIN:
        raise MetricError(
            f"MS-SSIM: expected equal sizes of at least {SIDE_MIN}, got {a.shape} and {b.shape}"
        )


def decibels(similarity: float) -> float:
    """-10 log10(1 - similarity), as plots show MS-SSIM. Equal pictures give 100."""
    return float(-10 * np.log10(max(1 - similarity, 1e-10)))
