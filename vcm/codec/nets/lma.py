"""LMA, latent mask attention: mask prior and image prior fused into the latent."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.nets.control import Controls
from vcm.codec.nets.gain import Gain

LOG_SIGMA_MIN = math.log(0.01)


@dataclass(frozen=True)
class TwoValues:
    """Mask values computed for the part that is indexed: those of a large picture need much memory.

    Attributes:
        roi: (1, 1, H, W) bool.
        sigma: the value outside, in (0, 1]; inside it is 1.
    """

    roi: Tensor
    sigma: float

    @property
    def shape(self) -> torch.Size:
        """(1, 1, H, W)."""
        return self.roi.shape

    def __getitem__(self, index: Any) -> Tensor:
        """The values of a part: float32."""
        return torch.where(self.roi[index], 1.0, self.sigma)


def grown(m: Tensor, margin: int) -> Tensor:
    """Mask values whose inside is grown by `margin` pixels: (B, 1, H, W)."""
    for side in ((2 * margin + 1, 1), (1, 2 * margin + 1)) if margin else ():
        m = F.max_pool2d(m, side, stride=1, padding=(side[0] // 2, side[1] // 2))
    return m


def mask_level(m: Tensor) -> Tensor:
    """What LMA sees of a mask: (B, 2, H/8, W/8), means over 8x8 pixels.

    The channels are 1 - m and log m / log 0.01, both 0 inside; the second is 1 where m is 0.01, the
    smallest sigma of the released model's training, and more where m is smaller.

    Args:
        m: (B, 1, H, W) float32 in (0, 1]: 1 inside, sigma outside.
    """
    return F.avg_pool2d(torch.cat([1 - m, m.log() / LOG_SIGMA_MIN], dim=1), 8)


class LatentMaskAttention(nn.Module):
    """The factor S(mask) + R(features) of each latent: y = y0 * (S + R).

    S, in (0, 1), is how much the mask leaves of a latent: it starts near 1 everywhere and learns to
    remove fine detail outside the ROI. R, in (-0.5, 0.5), corrects it by the picture: it learns
    which latents are not worth their bits, and starts at 0. Only the encoder sees the mask.

    Source: Jin et al. 2025, arXiv:2507.00373, section on LMA. Deviations: both branches know the
    quality (one model for every rate), and the mask is seen as its mean and mean logarithm per 8x8
    block, so that one model can tell all sigmas apart.
    """

    def __init__(self, features: int, M: int, below: int = 0, hidden: int = 64):
        super().__init__()
        self.mask_1 = nn.Conv2d(2, hidden, 3, padding=1)
        self.mask_2 = nn.Conv2d(hidden, hidden, 4, stride=2, padding=1)
        self.mask_out = nn.Conv2d(hidden, M, 3, padding=1)
        self.mask_quality = Gain(hidden, below=below)
        self.image_1 = nn.Conv2d(features, hidden, 3, padding=1)
        self.image_out = nn.Conv2d(hidden, M, 1)
        self.image_quality = Gain(hidden, below=below)
        nn.init.constant_(self.mask_out.bias, 4.0)  # type: ignore[arg-type]
        nn.init.normal_(self.mask_out.weight, std=1e-3)
        nn.init.zeros_(self.image_out.weight)
        nn.init.zeros_(self.image_out.bias)  # type: ignore[arg-type]

    def mask_prior(self, mask: Tensor, control: Controls) -> Tensor:
        """S: (B, M, h, w) in (0, 1), from `mask_level`'s (B, 2, 2h, 2w)."""
        s = F.leaky_relu(self.mask_1(mask), 0.1)
        s = F.leaky_relu(self.mask_2(s), 0.1) * self.mask_quality(control)  # (B, hidden, h, w)
        return torch.sigmoid(self.mask_out(s).float())

    def image_prior(self, features: Tensor, control: Controls) -> Tensor:
        """R: (B, M, h, w) in (-0.5, 0.5), from the analysis features (B, features, h, w)."""
        r = F.leaky_relu(self.image_1(features), 0.1) * self.image_quality(control)
        return F.softsign(torch.tanh(self.image_out(r).float()))

    def forward(self, features: Tensor, mask: Tensor, control: Controls) -> Tensor:
        """S + R: (B, M, h, w)."""
        return self.mask_prior(mask, control) + self.image_prior(features, control)
