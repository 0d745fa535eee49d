"""Other ways to do one thing: what stands in for a part of vcm while a variant is trained."""

from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

import torch
from torch import Tensor

from vcm.codec.models.roi import Quality, RoiHyperprior, Sizes
from vcm.codec.nets import entropy
from vcm.codec.nets.gain import Gain


class NoiseInPicture(RoiHyperprior):
    """In training the decoder gets noise in place of rounding, as the rate does."""

    def quantised(self, y: Tensor, z_hat: Tensor, quality: Quality, quantise):
        def noisy(part, p):
            return part - p.means + torch.rand_like(part) - 0.5

        return super().quantised(y, z_hat, quality, noisy if self.training else quantise)


class OtherGain(RoiHyperprior):
    """Gains of other shapes."""

    def __init__(self, sizes: Sizes, channels: int | None = None, knots: int = 8):
        super().__init__(sizes)
        self.gain = Gain(channels or sizes.M, 0.7, 2.9, knots)
        self.inverse_gain = Gain(channels or sizes.M, -0.7, -2.9, knots)


def build(part: str, sizes: Sizes) -> RoiHyperprior:
    """The model with a part of another kind."""
    if part == "noise_in_picture":
        return NoiseInPicture(sizes)
    if part == "two_knots":
        return OtherGain(sizes, knots=2)
    if part == "one_factor":
        return OtherGain(sizes, channels=1)
    return RoiHyperprior(sizes)


def replaced(part: str) -> AbstractContextManager:
    """Within it a function of vcm is another one."""
    if part == "places_only":  # all groups at one place of a square
        places = [[(g, p // 2, p % 2) for g in range(4)] for p in entropy.ORDER]
        return patch.object(entropy, "_places", lambda number: iter(places[number]))
    if part == "groups_only":  # one group at all places
        groups = [[(g, p // 2, p % 2) for p in range(4)] for g in range(4)]
        return patch.object(entropy, "_places", lambda number: iter(groups[number]))
    if part in ("rates_alike", "rates_inverse"):
        power = {"rates_alike": 0.0, "rates_inverse": -1.0}[part]

        def loss(bpp: Tensor, mse: Tensor, lmbda: Tensor, middle: float) -> Tensor:
            return ((bpp + lmbda * 255**2 * mse) * (lmbda / middle) ** power).mean()

        return patch("vcm.train.step.rate_distortion", loss)
    if part == "no_border":
        return patch("vcm.codec.models.loss.BORDER_WEIGHT", 1)
    return nullcontext()
