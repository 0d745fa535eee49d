"""One model, every rate: a learnt gain per channel, interpolated by quality."""

import torch
from torch import Tensor, nn

from vcm.codec.nets.control import Controls


class Gain(nn.Module):
    """exp of a piecewise linear function of quality, one per channel.

    Source: Cui et al. 2021, "Asymmetric gained deep image compression", arXiv:2003.02012.
    Deviation: linear interpolation of the logarithm between `knots` points, no discrete levels.
    """

    def __init__(self, channels: int, low: float = 0.0, high: float = 0.0, knots: int = 8):
        super().__init__()
        start = torch.linspace(low, high, knots)[:, None]
        self.log_gain = nn.Parameter(start.expand(knots, channels).clone())

    def forward(self, control: Controls) -> Tensor:  # (B, C, 1, 1)
        """The factor of each channel."""
        last = len(self.log_gain) - 1
        position = control.real.clamp(0, 1) * last
        left = position.floor().clamp(max=last - 1).long()
        weight = (position - left)[:, None]
        log_gain = torch.lerp(self.log_gain[left], self.log_gain[left + 1], weight)
        return log_gain.exp()[:, :, None, None]
