"""CVA for latents: the value that a mask asks of each, and the quality that codes it so."""

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.codec.format.constants import QUALITY_MIN, QUALITY_STEPS, STRIDE
from vcm.codec.format.levels import MOST
from vcm.codec.models.loss import LMBDA

# Latents reach over the mask's edge. Two pixels more of it cost 5 % of the bytes at small sigma and
# keep the ROI within 0.3 dB of sigma = 1 on 9 of 10 photos (experiments/00_sigma), not 4 of 5.
MARGIN: Final = 2


def of_latents(m: Tensor, margin: int = MARGIN) -> Tensor:
    """The value of each latent, the largest of its pixels: (B, 1, h, w).

    Args:
        m: (B, 1, H, W) float32 in (0, 1], mask values; H and W multiples of 16.
        margin: pixels around those of a latent that count as well.
    """
    return F.max_pool2d(m, STRIDE + 2 * margin, stride=STRIDE, padding=margin)


def grouped(values: Tensor, most: int = MOST) -> Tensor:
    """Values of latents, at most so many different ones, each the largest of those it stands for.

    Args:
        values: (1, 1, h, w) float32 in (0, 1].
    """
    if len(torch.unique(values)) <= most:
        return values
    logs = values.log()
    low, high = float(logs.min()), float(logs.max())
    group = ((logs - low) * (most / (high - low))).long().clamp(max=most - 1).flatten()
    largest = torch.zeros(most, device=values.device)
    largest = largest.scatter_reduce(0, group, values.flatten(), "amax")
    return largest[group].view(values.shape)


def relative(m: Tensor, values: Tensor) -> Tensor:
    """What is left for LMA: mask values over those of their latents, at most 1: (B, 1, H, W)."""
    return (m / F.interpolate(values, scale_factor=float(STRIDE), mode="nearest")).clamp(max=1)


def qualities(top: Tensor, values: Tensor, lmbda: tuple[float, float] = LMBDA) -> Tensor:
    """The quality of each latent in hundredths: (B, h, w) int64, from -14000 on.

    That is the one whose lmbda is the value squared times that of the whole picture's quality.

    Args:
        top: (B,) int64 in [0, 10000], of what has the value 1.
        values: (B, 1, h, w) float32 in (0, 1].
        lmbda: of the loss that the model is trained with, at quality 0 and 100.
    """
    low, high = lmbda
    steps = values[:, 0].log() * (2 * QUALITY_STEPS / math.log(high / low))
    return (top[:, None, None] + steps.round().long()).clamp(min=QUALITY_MIN)
