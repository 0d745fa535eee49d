"""Entropy parameters of y from z and from decoded neighbours, in exact integers.

Four passes, each over a quarter of the elements: channel group g is coded in pass i at one of the
four positions of every 2x2 square, another one for each group. So the first pass knows the
hyper-latent alone, and every later one also neighbours in space and in the other channels.

Source: Li, Li, Lu 2023, "Neural video compression with diverse contexts", arXiv:2302.14402
(quadtree partition). Deviation: groups are interleaved channels, because ours are in order of
their energy.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.integer import ACTIVATION_MAX, IntConv2d, compand, relu_int, round_ste

SCALE_MIN, SCALE_MAX, SCALE_LEVELS = 0.15, 64.0, 64
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALE_LEVELS - 1)
MEAN_UNIT = 16  # means are coded in sixteenths of a quantisation step
Z_MAX = 15  # hyper-latents are integers in [-15, 15]
ORDER = (0, 3, 1, 2)  # pass i codes group g at position g ^ ORDER[i] of each square: all differ
PASSES = len(ORDER)


class Parameters(NamedTuple):
    """What codes a latent: both (B, M, h, w) float32 with exact values.

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


def coded_in(number: int, like: Tensor) -> Tensor:
    """What a pass codes: (M, h, w) bool, for a latent (..., M, h, w) that starts at an even place.

    Args:
        number: of the pass, from 0.
    """
    channels, h, w = (torch.arange(n, device=like.device) for n in like.shape[-3:])
    position = 2 * (h % 2)[:, None] + w % 2  # (h, w)
    return (channels % PASSES ^ ORDER[number])[:, None, None] == position


def known_in(number: int, like: Tensor) -> Tensor:
    """What earlier passes have coded: (M, h, w) bool."""
    known = torch.zeros(like.shape[-3:], dtype=torch.bool, device=like.device)
    for earlier in range(number):
        known |= coded_in(earlier, like)
    return known


class EntropyParameters(nn.Module):
    """h_s and the context: z symbols (and what is known of y) -> Parameters of one pass."""

    def __init__(self, M: int, Z: int, width: int, context: int, hidden: int):
        super().__init__()
        self.h_s1 = IntConv2d(Z + 2, 4 * Z, 3)
        self.h_s2 = IntConv2d(Z, 4 * width, 3)
        self.h_s3 = IntConv2d(width, width, 3)
        self.alone1 = IntConv2d(width, hidden, 1)
        self.alone2 = IntConv2d(hidden, 2 * M, 1, gain=0.1)
        later = range(PASSES - 1)
        self.context = nn.ModuleList(IntConv2d(M, context, 3) for _ in later)
        self.joint1 = nn.ModuleList(IntConv2d(width + context, hidden, 1) for _ in later)
        self.joint2 = nn.ModuleList(IntConv2d(hidden, 2 * M, 1, gain=0.1) for _ in later)

    def features(self, z_hat: Tensor, level: Tensor, size: Sequence[int]) -> Tensor:
        """What z says: (B, width, h, w) integers in [0, 255].

        Args:
            z_hat: (B, Z, ceil(h/4), ceil(w/4)), integers in [-15, 15].
            level: (B,), integers in [0, 255], the quality.
            size: (h, w) of the latent.
        """
        q = level[:, None, None, None].expand(-1, 1, *z_hat.shape[-2:])
        a = torch.cat([16 * z_hat, q, ACTIVATION_MAX - q], dim=1)
        a = F.pixel_shuffle(relu_int(self.h_s1(a)), 2)  # (B, Z, h/2, w/2)
        a = F.pixel_shuffle(relu_int(self.h_s2(a)), 2)  # (B, width, h, w)
        return relu_int(self.h_s3(a))[..., : size[0], : size[1]]

    def forward(self, number: int, features: Tensor, level: Tensor, known: Tensor) -> Parameters:
        """Parameters of everything; a pass uses those of what `coded_in` says.

        Args:
            number: of the pass, from 0.
            features: (B, width, h, w), from `features`.
            known: (B, M, h, w), y_hat in sixteenths where it is known, 0 elsewhere.
        """
        if number == 0:
            return _parameters(self.alone2(relu_int(self.alone1(features))), level)
        i = number - 1
        context = relu_int(self.context[i](compand(known)))
        a = relu_int(self.joint1[i](torch.cat([features, context], dim=1)))
        return _parameters(self.joint2[i](a), level)


def _parameters(raw: Tensor, level: Tensor) -> Parameters:
    rows, means = raw.chunk(2, dim=1)
    # The gain moves all scales with the quality: said here, it need not be learnt.
    shift = 18 + (level[:, None, None, None] - 128) * (5 / 64)
    rows = round_ste((rows / 4 + shift).clamp(0, SCALE_LEVELS - 1))
    return Parameters(rows, round_ste(means.clamp(-(2.0**15), 2.0**15)) / MEAN_UNIT)
