"""Numbers that agree better with people than PSNR does."""

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim as _ms_ssim

from vcm.errors import MetricError

Image = NDArray[np.uint8]  # (H, W, 3) RGB
SIDE_MIN = 161  # five scales of an 11 pixel window


def ms_ssim(a: Image, b: Image) -> float:
    """MS-SSIM over RGB in [0, 1], 1 if equal, by `pytorch-msssim`.

    Source: Wang, Simoncelli, Bovik 2003, "Multiscale structural similarity".

    Args:
        a, b: (H, W, 3) uint8, sides of at least 161.

    Raises:
        MetricError: if the pictures are smaller, or of different sizes.
    """
    if a.shape != b.shape or min(a.shape[:2]) < SIDE_MIN:
        raise MetricError(
            f"MS-SSIM: expected equal sizes of at least {SIDE_MIN}, got {a.shape} and {b.shape}"
        )
    x, y = (torch.from_numpy(t.copy()).permute(2, 0, 1)[None].float() for t in (a, b))
    with torch.inference_mode():
        return float(_ms_ssim(x, y, data_range=255))


def decibels(similarity: float) -> float:
    """-10 log10(1 - similarity): what plots of MS-SSIM show. Equal pictures give 100."""
    return float(-10 * np.log10(max(1 - similarity, 1e-10)))
