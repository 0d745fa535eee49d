"""Rate-distortion loss of ROI coding at every rate."""

import math

import torch
from torch import Tensor

from vcm.codec.model import QUALITY_STEPS


def lmbda_of(hundredths: Tensor, low: float, high: float) -> Tensor:
    """The trade-off of a quality, log-spaced: (B,) float32.

    Args:
        hundredths: (B,) int64 in [0, 10000], quality * 100.
        low, high: lmbda at quality 0 and 100, in CompressAI's convention (255^2 * MSE on [0, 1]).
    """
    position = hundredths / QUALITY_STEPS
    return torch.exp(math.log(low) + position * math.log(high / low))


def bpp_est(likelihoods: dict[str, Tensor], pixels: int) -> Tensor:
    """Bits per pixel of each picture by the entropy model, for training only: (B,)."""
    bits = [-t.float().clamp(min=1e-9).log2().flatten(1).sum(1) for t in likelihoods.values()]
    return torch.stack(bits).sum(0) / pixels


def masked_mse(x_hat: Tensor, x: Tensor, m: Tensor) -> Tensor:
    """mean((m * (x_hat - x))^2) of each picture: (B,). The background weighs sigma^2.

    Source: Jin et al. 2025, arXiv:2507.00373, training loss.
    """
    return ((x_hat - x) * m).square().flatten(1).mean(1)


def rate_distortion(bpp: Tensor, mse: Tensor, lmbda: Tensor, middle: float) -> Tensor:
    """bpp + lmbda * 255^2 * mse, averaged with weights that let no rate rule the others.

    At the optimum rate and distortion terms grow together, about as lmbda^0.5: each sample is
    divided by that, relative to `middle`. Within one sample the trade-off is untouched.
    """
    loss = bpp + lmbda * 255**2 * mse
    return (loss * (lmbda / middle) ** -0.5).mean()
