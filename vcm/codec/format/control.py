"""How the bits of a picture are distributed: what its encoder and its decoder both have to know."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.constants import QUALITY_STEPS
from vcm.codec.format.levels import LevelMap
from vcm.errors import SpecError


@dataclass(frozen=True)
class Control:
    """The quality of a picture and of its parts, as its file has them.

    Attributes:
        quality: 0 (fewest bits) to 100; files keep two decimals.
        map: the level of each latent; None: all have the quality.

    Raises:
        SpecError: if the quality is not in that range.
    """

    quality: float
    map: LevelMap | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 100:
            raise SpecError(f"quality: expected a number from 0 to 100, got {self.quality}")

    @property
    def hundredths(self) -> int:
        """The quality as files have it, 0 to 10000; it is rounded here and nowhere else."""
        return round(self.quality * (QUALITY_STEPS // 100))

    @property
    def plane(self) -> NDArray[np.int32]:
        """The quality of each latent in hundredths: (h, w), or (1, 1) if it is the same for all."""
        if self.map is None:
            return np.full((1, 1), self.hundredths, np.int32)
        return self.map.hundredths
