"""`Control` as tensors, for the networks."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.codec.format.constants import LEVELS, QUALITY_STEPS, STEP
from vcm.codec.format.control import Control
from vcm.codec.format.tiles import Tile

LOWEST = 384  # added to a level before it becomes a byte: no level is below -357


class Controls(NamedTuple):
    """The qualities of a batch: one for each picture, or one for each latent.

    Attributes:
        real: (B, 1, h, w) or (B, 1, 1, 1) float32 in [-1.4, 1], for the transforms.
        level: of the same shape, float32, integers in [-357, 255], for the exact entropy networks.
    """

    real: Tensor
    level: Tensor

    @classmethod
    def of(cls, hundredths: Tensor) -> "Controls":
        """From qualities in hundredths: (B,) or (B, h, w) int64 in [-14000, 10000]."""
        level = (hundredths * LEVELS + QUALITY_STEPS // 2) // QUALITY_STEPS  # rounded down
        shape = (len(hundredths), 1, *(hundredths.shape[1:] or (1, 1)))
        return cls((hundredths.float() / QUALITY_STEPS).view(shape), level.float().view(shape))

    @classmethod
    def single(cls, control: Control, device: torch.device | str = "cpu") -> "Controls":
        """Those of one picture."""
        return cls.of(torch.from_numpy(control.plane)[None].long().to(device))

    @property
    def one(self) -> bool:
        """Whether all latents of a picture have the same quality."""
        return self.real.shape[2:] == (1, 1)

    def part(self, tile: Tile) -> "Controls":
        """Those of a tile."""
        return self if self.one else Controls(*(tile.of(t) for t in self))

    def filled(self, unit: int) -> "Controls":
        """Padded to sides that are multiples of a unit, by repeating the last row and column."""
        if self.one:
            return self
        h, w = self.real.shape[2:]
        return Controls(*(F.pad(t, (0, -w % unit, 0, -h % unit), mode="replicate") for t in self))

    def finer(self) -> "Controls":
        """At twice the resolution."""
        if self.one:
            return self
        return Controls(*(F.interpolate(t, scale_factor=2.0, mode="nearest") for t in self))

    def coarse(self) -> Tensor:
        """Levels for z: (B, 1, h/4, w/4) or (B, 1, 1, 1), the best of 4x4 latents, 0 to 255.

        h and w must be multiples of 4.
        """
        best = self.level if self.one else F.max_pool2d(self.level, STEP)
        return best.clamp(0, LEVELS)

    def seen(self) -> Tensor:
        """Levels as bytes, also those below 0: of the shape of `level`, integers in [10, 239]."""
        return ((self.level + LOWEST) * (3 / 8)).floor()
