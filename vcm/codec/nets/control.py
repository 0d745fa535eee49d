"""A control in the form that networks compute with."""

from typing import NamedTuple

import torch
from torch import Tensor

from vcm.codec.format.constants import LEVELS, QUALITY_STEPS
from vcm.codec.format.control import Control


class Controls(NamedTuple):
    """The controls of a batch.

    Attributes:
        real: (B,) float32 in [0, 1], the quality for the transforms.
        level: (B,) float32, integers in [0, 255], the quality for the exact entropy networks.
    """

    real: Tensor
    level: Tensor

    @classmethod
    def of(cls, hundredths: Tensor) -> "Controls":
        """From qualities in hundredths: (B,) int64 in [0, 10000]."""
        level = (hundredths * LEVELS + QUALITY_STEPS // 2) // QUALITY_STEPS
        return cls(hundredths.float() / QUALITY_STEPS, level.float())

    @classmethod
    def single(cls, control: Control, device: torch.device | str = "cpu") -> "Controls":
        """Of one picture."""
        return cls.of(torch.tensor([control.hundredths], device=device))
