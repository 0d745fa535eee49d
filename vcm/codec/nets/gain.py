"""One model for every rate: a learnt gain per channel, interpolated by quality."""

from typing import Final

import torch
from torch import Tensor, nn

from vcm.codec.nets.control import Controls

KNOTS: Final = 8  # from quality 0 to 100, evenly spaced


class Gain(nn.Module):
    """exp of a piecewise linear function of quality, one per channel.

    Source: Cui et al. 2021, "Asymmetric gained deep image compression", arXiv:2003.02012.
    Deviation: linear interpolation of the logarithm between knots, no discrete levels.

    Args:
        low, high: initial logarithm at quality 0 and 100, the same for all channels.
        below: knots for qualities below 0, spaced like the others: 10 reach down to -143. They
            start on the line through the gains at 0 and 100. Below the last, its gain holds.
    """

    def __init__(self, channels: int, low: float = 0.0, high: float = 0.0, below: int = 0):
        super().__init__()
        start = torch.linspace(low, high, KNOTS)[:, None]
        self.log_gain = nn.Parameter(start.expand(KNOTS, channels).clone())
        if below:  # deviation from that line, from quality 0 downwards
            self.log_below = nn.Parameter(torch.zeros(below, channels))
        self.below: Final = below

    def knots(self) -> Tensor:
        """The logarithm at each knot: (below + 8, C), the lowest quality first."""
        if not self.below:
            return self.log_gain
        slope = (self.log_gain[-1] - self.log_gain[0]) / (KNOTS - 1)
        steps = torch.arange(1, self.below + 1, device=slope.device)[:, None]
        line = self.log_gain[0] - steps * slope  # (below, C)
        return torch.cat([(line + self.log_below).flip(0), self.log_gain])

    def forward(self, control: Controls) -> Tensor:
        """The factor of each channel: (B, C, h, w), or (B, C, 1, 1) for one quality a picture."""
        knots = self.knots()
        last = len(knots) - 1
        position = (control.real[:, 0] * (KNOTS - 1) + self.below).clamp(0, last)  # (B, h, w)
        left = position.floor().clamp(max=last - 1).long()
        log_gain = torch.lerp(knots[left], knots[left + 1], (position - left)[..., None])
        return log_gain.exp().permute(0, 3, 1, 2)  # channels last in memory
