"""CVA for latents, in numpy: from a mask to the value of each latent, and on to its quality.

`vcm.codec.models.cva` has the same in torch, as far as training needs it.
"""

import math
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vcm.codec.format.constants import QUALITY_MIN, QUALITY_STEPS, STRIDE
from vcm.codec.format.levels import MOST

# Latents reach over the mask's edge. Two pixels of margin cost 5 % of the bytes at small sigma, and
# keep the ROI within 0.3 dB of sigma = 1 on 9 of 10 photos, not 4 of 5 (experiments/00_sigma).
MARGIN: Final = 2
Floats = NDArray[np.float32]


def of_latents(m: Floats, margin: int = MARGIN) -> Floats:
    """The value of each latent, the largest of its pixels: (1, h, w).

    Args:
        m: (1, H, W) float32 in (0, 1], mask values; H and W multiples of 16.
        margin: pixels around those of a latent that count as well.
    """
    found = np.pad(m, ((0, 0), (margin, margin), (margin, margin)))  # zeros are below all values
    for axis in (1, 2):
        windows = sliding_window_view(found, STRIDE + 2 * margin, axis)
        found = windows[(slice(None),) * axis + (slice(None, None, STRIDE),)].max(-1)
    return found


def grouped(values: Floats, most: int = MOST) -> Floats:
    """Values of latents, reduced to at most `most` different ones: the largest of each group.

    Args:
        values: of any shape, float32 in (0, 1].
    """
    if len(np.unique(values)) <= most:
        return values
    logs = np.log(values)
    low, high = float(logs.min()), float(logs.max())
    group = ((logs - low) * (most / (high - low))).astype(np.intp).clip(max=most - 1)
    largest = np.zeros(most, np.float32)
    np.maximum.at(largest, group.ravel(), values.ravel())
    found: Floats = largest[group]
    return found


def qualities(top: int, values: Floats, lmbda: tuple[float, float]) -> NDArray[np.int64]:
    """The quality of each latent in hundredths, of the shape of `values`, at least -14000.

    Its lmbda is that of quality `top`, times the value squared.

    Args:
        top: in [0, 10000]: the quality of latents with the value 1.
        values: float32 in (0, 1].
        lmbda: of the loss that the model is trained with, at quality 0 and 100.
    """
    steps = np.rint(np.log(values) * np.float32(per_log(lmbda))).astype(np.int64)
    found: NDArray[np.int64] = (top + steps).clip(min=QUALITY_MIN)
    return found


def per_log(lmbda: tuple[float, float]) -> float:
    """Hundredths of quality per unit of the logarithm of a mask value."""
    low, high = lmbda
    return 2 * QUALITY_STEPS / math.log(high / low)
