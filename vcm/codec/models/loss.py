"""Rate-distortion loss of ROI coding at every rate."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.codec.format.constants import QUALITY_STEPS

LMBDA = (0.0013, 0.06)  # of the released model, at quality 0 and 100
BORDER, BORDER_WEIGHT = 17, 16  # pixels, about what a latent covers; largest weight of a pixel
POWER = -0.5  # samples are weighted by this power of lmbda


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
    bits = [
        -t.float().clamp(min=1e-9).log2().sum(tuple(range(1, t.ndim))) for t in likelihoods.values()
    ]
    return torch.stack(bits).sum(0) / pixels


def distortion_weights(m: Tensor, most: float = BORDER_WEIGHT) -> Tensor:
    """Weight of each pixel's squared error: (B, 1, H, W). The background weighs sigma^2.

    A pixel of the ROI weighs one over the share of ROI around it, at most `most`. A latent covers
    about 16 x 16 pixels. One on the border covers few ROI pixels; with equal weights these would
    get fewer bits than in a codec without a mask. So the ROI keeps its quality when sigma falls.

    Source: Jin et al. 2025, arXiv:2507.00373, training loss (m^2). Deviation: the border's weight.

    Args:
        m: (B, 1, H, W) mask values: 1 inside, sigma outside.
        most: 1 is the paper's loss.
    """
    roi = (m == 1).float()
    around = _mean_along(_mean_along(roi, BORDER).transpose(-2, -1), BORDER).transpose(-2, -1)
    return torch.where(roi > 0, 1 / around.clamp(min=1 / most), m.square())


def _mean_along(t: Tensor, window: int) -> Tensor:
    """The mean over a window centred on each element of a row; only elements inside count."""
    half, length = window // 2, t.shape[-1]
    sums = F.pad(t.cumsum(-1), (half + 1, half, 0, 0), mode="replicate")  # (..., length + window)
    sums[..., : half + 1] = 0
    position = torch.arange(length, device=t.device)
    inside = (position + half).clamp(max=length - 1) - (position - half).clamp(min=0) + 1
    return (sums[..., window:] - sums[..., :length]) / inside


def weighted_mse(x_hat: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """mean(weights * (x_hat - x)^2) of each picture: (B,)."""
    return ((x_hat - x).square() * weights).mean((1, 2, 3))


def rate_distortion(
    bpp: Tensor, mse: Tensor, lmbda: Tensor, middle: float, power: float = POWER
) -> Tensor:
    """bpp + lmbda * 255^2 * mse, averaged with weights that keep high rates from dominating.

    At the optimum both terms grow about as lmbda^0.5, so each sample is divided by that (`power`),
    relative to the lmbda `middle`. The trade-off within a sample does not change.
    """
    loss = bpp + lmbda * 255**2 * mse
    return (loss * (lmbda / middle) ** power).mean()
