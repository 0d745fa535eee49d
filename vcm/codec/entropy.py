"""Entropy parameters of y from z and from decoded neighbours, in exact integers.

Two passes over a checkerboard (He et al. 2021, arXiv:2103.15306): the anchors (even row + column)
are coded from the hyper-latent alone, the others from it and from the anchors around them.
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


def checkerboard(like: Tensor) -> Tensor:
    """The anchors: (h, w) bool, true where row + column is even."""
    h, w = like.shape[-2:]
    rows = torch.arange(h, device=like.device)[:, None]
    return (rows + torch.arange(w, device=like.device)) % 2 == 0


class EntropyParameters(nn.Module):
    """h_s and the checkerboard context: z symbols (and anchors of y) -> Parameters."""

    def __init__(self, M: int, Z: int, width: int, hidden: int):
        super().__init__()
        self.h_s1 = IntConv2d(Z + 2, 4 * Z, 3)
        self.h_s2 = IntConv2d(Z, 4 * width, 3)
        self.h_s3 = IntConv2d(width, width, 3)
        self.alone1 = IntConv2d(width, hidden, 1)
        self.alone2 = IntConv2d(hidden, 2 * M, 1, gain=0.1)
        self.context = IntConv2d(M, width, 3)
        self.joint1 = IntConv2d(2 * width, hidden, 1)
        self.joint2 = IntConv2d(hidden, 2 * M, 1, gain=0.1)

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

    def anchors(self, features: Tensor, level: Tensor) -> Parameters:
        """Parameters that need no neighbour; meant for the anchors."""
        return _parameters(self.alone2(relu_int(self.alone1(features))), level)

    def others(self, features: Tensor, level: Tensor, anchors: Tensor) -> Parameters:
        """Parameters given the anchors: (B, M, h, w), y_hat in sixteenths there, 0 elsewhere."""
        context = relu_int(self.context(compand(anchors)))
        a = relu_int(self.joint1(torch.cat([features, context], dim=1)))
        return _parameters(self.joint2(a), level)


def _parameters(raw: Tensor, level: Tensor) -> Parameters:
    rows, means = raw.chunk(2, dim=1)
    # The gain moves all scales with the quality: said here, it need not be learnt.
    shift = 18 + (level[:, None, None, None] - 128) * (5 / 64)
    rows = round_ste((rows / 4 + shift).clamp(0, SCALE_LEVELS - 1))
    return Parameters(rows, round_ste(means.clamp(-(2.0**15), 2.0**15)) / MEAN_UNIT)
