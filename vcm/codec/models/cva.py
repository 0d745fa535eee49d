"""CVA for latents, in torch, for training.

`vcm.codec.format.cva` is the encoder's version, in numpy, and has the reasons.
"""

import torch.nn.functional as F
from torch import Tensor

from vcm.codec.format.constants import QUALITY_MIN, STRIDE
from vcm.codec.format.cva import MARGIN, per_log
from vcm.codec.models.loss import LMBDA


def of_latents(m: Tensor, margin: int = MARGIN) -> Tensor:
    """The value of each latent, the largest of its pixels: (B, 1, h, w).

    Args:
        m: (B, 1, H, W) float32 in (0, 1], mask values; H and W multiples of 16.
        margin: pixels around those of a latent that count as well.
    """
    return F.max_pool2d(m, STRIDE + 2 * margin, stride=STRIDE, padding=margin)


def relative(m: Tensor, values: Tensor) -> Tensor:
    """What the map leaves to LMA: mask values over their latent's, at most 1: (B, 1, H, W)."""
    return (m / F.interpolate(values, scale_factor=float(STRIDE), mode="nearest")).clamp(max=1)


def qualities(top: Tensor, values: Tensor, lmbda: tuple[float, float] = LMBDA) -> Tensor:
    """The quality of each latent in hundredths: (B, h, w) int64, at least -14000.

    Its lmbda is that of quality `top`, times the value squared.

    Args:
        top: (B,) int64 in [0, 10000]: the quality of latents with the value 1.
        values: (B, 1, h, w) float32 in (0, 1].
        lmbda: of the loss that the model is trained with, at quality 0 and 100.
    """
    steps = values[:, 0].log() * per_log(lmbda)
    return (top[:, None, None] + steps.round().long()).clamp(min=QUALITY_MIN)
