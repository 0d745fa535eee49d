"""Entropy parameters of y from z and from decoded neighbours, in exact integers.

Four passes, each over a quarter of the elements: in pass i, each of the four channel groups is
coded at one position of every 2x2 square, a different one for each group. So the first pass knows
only the hyper-latent, and every later one also neighbours in space and in the other channels.

Source: Li, Li, Lu 2023, "Neural video compression with diverse contexts", arXiv:2302.14402
(quadtree partition). Deviation: groups are interleaved channels, because ours are sorted by
energy.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.format.constants import MEAN_UNIT, PASSES, SCALE_LEVELS, STEP
from vcm.codec.format.walk import places
from vcm.codec.nets.control import Controls
from vcm.codec.nets.integer import ACTIVATION_MAX, IntConv2d, relu_int, round_ste
from vcm.codec.nets.quarters import Places

SCALE_MIN, SCALE_MAX = 0.15, 64.0
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALE_LEVELS - 1)


class Parameters(NamedTuple):
    """Entropy parameters of some elements of a latent: float32 of equal shapes, exact values.

    Attributes:
        rows: integers in [0, 63], row of the scale table. Row 0 means "always zero": not coded.
        means: multiples of 1/16.
    """

    rows: Tensor
    means: Tensor

    @property
    def scales(self) -> Tensor:
        """Standard deviation of each latent, in quantisation steps."""
        return SCALE_MIN * torch.exp(SCALE_STEP * self.rows)


def scale_table() -> Tensor:
    """The standard deviation of each of the 64 rows: (64,) float64."""
    return SCALE_MIN * torch.exp(SCALE_STEP * torch.arange(SCALE_LEVELS, dtype=torch.float64))


class EntropyParameters(nn.Module):
    """h_s and the context: z symbols (and what is known of y) -> Parameters of one pass.

    Args:
        local: whether the networks see the level of each latent, as models with a map do.

    Attributes:
        places: which elements each pass codes. Files use `format.walk.places`; studies try others.
    """

    places: Places = staticmethod(places)

    def __init__(self, M: int, Z: int, width: int, context: int, hidden: int, local: bool = False):
        super().__init__()
        self.local = local
        self.h_s1 = IntConv2d(Z + 2, 4 * Z, 3)
        self.h_s2 = IntConv2d(Z, 4 * width, 3)
        self.h_s3 = IntConv2d(width + 2 * local, width, 3)
        known = [0] + [context] * (PASSES - 1)  # channels: the first pass knows no neighbour
        self.context = nn.ModuleList(IntConv2d(M, context, 3, signed=True) for _ in known[1:])
        self.hidden = nn.ModuleList(IntConv2d(width + c, hidden, 1) for c in known)
        self.out = nn.ModuleList(
            IntConv2d(PASSES * hidden, 2 * M, 1, gain=0.1, groups=PASSES) for _ in known
        )

    def features(self, z_hat: Tensor, control: Controls, size: Sequence[int]) -> Tensor:
        """Features from z: (B, width, h, w) integers in [0, 255]; uint8 if z_hat is int8.

        Args:
            z_hat: (B, Z, ceil(h/4), ceil(w/4)), integers in [-15, 15].
            control: of the batch, for latents of (h, w).
            size: (h, w) of the latent.
        """
        own = control.filled(STEP)
        q = own.coarse().expand(-1, 1, *z_hat.shape[-2:])
        a = relu_int(self.h_s1(torch.cat([16 * z_hat.float(), q, ACTIVATION_MAX - q], dim=1)))
        if z_hat.dtype == torch.int8:
            a = a.to(torch.uint8)
        a = self.h_s2.relu(F.pixel_shuffle(a, 2))  # from (B, Z, h/2, w/2)
        a = F.pixel_shuffle(a, 2)  # (B, width, h, w)
        if self.local:
            seen = own.seen().to(a.dtype).expand(-1, 1, *a.shape[-2:])
            a = torch.cat([a, seen, ACTIVATION_MAX - seen], dim=1)
        return self.h_s3.relu(a)[..., : size[0], : size[1]]

    def forward(
        self, number: int, features: Tensor, control: Controls, known: Tensor
    ) -> Parameters:
        """Parameters of the elements that a pass codes, in the layout of `quarter`.

        Args:
            number: of the pass, from 0.
            features: (B, width, h, w), from `features`, with even h and w.
            control: of the batch, for latents of (h, w).
            known: (B, M, h, w), `compand` of y_hat in sixteenths where that is known, 0 elsewhere;
                uint8 with 128 added if `features` is uint8.
        """
        a, hidden = features, self.hidden[number]
        assert isinstance(hidden, IntConv2d)
        if number > 0:
            context = self.context[number - 1]
            assert isinstance(context, IntConv2d)
            a = torch.cat([features, context.relu(known)], dim=1)
        a = hidden.relu(a)
        # each position of a square codes other channels, so each is a group of the convolution
        level = control.level.expand(-1, -1, *a.shape[2:])[:, 0]
        level = torch.stack([level[:, i::2, j::2] for _, i, j in self.places(number)], dim=-1)
        a = torch.cat([a[:, :, i::2, j::2] for _, i, j in self.places(number)], dim=1)
        raw = self.out[number](a).permute(0, 2, 3, 1)  # (B, h/2, w/2, 2 M), its order in memory
        raw = raw.unflatten(-1, (PASSES, 2, -1))  # (B, h/2, w/2, place, 2, M/4)
        # The gain moves all scales with the quality: built in here, it need not be learnt.
        shift = 18 + (level[..., None] - 128) * (5 / 64)  # (B, h/2, w/2, place, 1)
        rows = round_ste((raw[..., 0, :] / 4 + shift).clamp(0, SCALE_LEVELS - 1))
        means = round_ste(raw[..., 1, :].clamp(-(2.0**15), 2.0**15)) / MEAN_UNIT
        return Parameters(*(t.flatten(-2).permute(0, 3, 1, 2) for t in (rows, means)))
