"""Other ways to do one thing, each a kind of codec: what takes its place while it is trained."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vcm.codec.api import KINDS
from vcm.codec.format.constants import ORDER, PASSES
from vcm.codec.models.roi import RoiDecoder, RoiEncoder, RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.control import Controls
from vcm.codec.nets.gain import Gain
from vcm.train.kinds import RoiStep


class NoiseInPicture(RoiHyperprior):
    """In training the decoder gets noise in place of rounding, as the rate does."""

    def quantised(self, y: Tensor, z_hat: Tensor, control: Controls, quantise):
        def noisy(part, p):
            return part - p.means + torch.rand_like(part) - 0.5

        return super().quantised(y, z_hat, control, noisy if self.training else quantise)


class OtherGain(RoiHyperprior):
    """Gains of other shapes."""

    def __init__(self, sizes: Sizes, channels: int | None = None, knots: int = 8):
        super().__init__(sizes)
        self.encoder.gain = Gain(channels or sizes.M, 0.7, 2.9, knots)
        self.decoder.inverse_gain = Gain(channels or sizes.M, -0.7, -2.9, knots)


def two_knots(sizes: Sizes) -> RoiHyperprior:
    return OtherGain(sizes, knots=2)


def one_factor(sizes: Sizes) -> RoiHyperprior:
    return OtherGain(sizes, channels=1)


class PlacesOnly(RoiDecoder):
    """A pass codes all groups at one place of a square."""

    def __init__(self, **parts: Any):
        super().__init__(**parts)
        self.parameters_y.places = one_place


class GroupsOnly(RoiDecoder):
    """A pass codes one group at all places of a square."""

    def __init__(self, **parts: Any):
        super().__init__(**parts)
        self.parameters_y.places = one_group


def one_place(number: int) -> Iterator[tuple[int, int, int]]:
    place = ORDER[number]
    return ((group, place // 2, place % 2) for group in range(PASSES))


def one_group(number: int) -> Iterator[tuple[int, int, int]]:
    return ((number, place // 2, place % 2) for place in range(PASSES))


def places_only(sizes: Sizes) -> RoiHyperprior:
    return RoiHyperprior(sizes, RoiEncoder, PlacesOnly)


def groups_only(sizes: Sizes) -> RoiHyperprior:
    return RoiHyperprior(sizes, RoiEncoder, GroupsOnly)


class RatesAlike(RoiStep):
    """Every rate weighs the same in the loss."""

    power = 0.0


class RatesInverse(RoiStep):
    """Rates weigh by the inverse of their lmbda."""

    power = -1.0


class NoBorder(RoiStep):
    """The border of the ROI weighs no more than the rest of it."""

    border = 1


ROI = KINDS["roi"]
PARTS = {
    "": ROI,
    "noise_in_picture": ROI._replace(net="parts:NoiseInPicture"),
    "two_knots": ROI._replace(net="parts:two_knots"),
    "one_factor": ROI._replace(net="parts:one_factor"),
    "places_only": ROI._replace(net="parts:places_only"),
    "groups_only": ROI._replace(net="parts:groups_only"),
    "rates_alike": ROI._replace(step="parts:RatesAlike"),
    "rates_inverse": ROI._replace(step="parts:RatesInverse"),
    "no_border": ROI._replace(step="parts:NoBorder"),
}
