"""Distortion: how much a picture differs from its original."""

import math

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB


def psnr(a: Image, b: Image, where: NDArray[np.bool_] | None = None) -> float:
    """PSNR in dB over all channels of the pixels where `where` is true; inf if equal, NaN if none.

    Args:
        a, b: (H, W, 3) uint8.
        where: (H, W) bool; None: everywhere.
    """
    difference = a.astype(np.float64) - b.astype(np.float64)
    if where is not None:
        difference = difference[where]
    if difference.size == 0:
        return math.nan
    mse = float(np.square(difference).mean())
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)
