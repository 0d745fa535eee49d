"""What steers the bits of a picture: what its encoder and its decoder are told alike."""

from dataclasses import dataclass

from vcm.codec.format.constants import LEVELS, QUALITY_STEPS
from vcm.errors import SpecError


@dataclass(frozen=True)
class Control:
    """The control of a picture, as its file has it.

    Attributes:
        quality: 0 (fewest bits) to 100; files keep two decimals.
        map: of a quality for each place. Files of version 1 have none: it is None.

    Raises:
        SpecError: if the quality is not in that range.
    """

    quality: float
    map: None = None

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 100:
            raise SpecError(f"quality: expected a number from 0 to 100, got {self.quality}")

    @property
    def hundredths(self) -> int:
        """The quality as files have it, 0 to 10000: its only rounding."""
        return round(self.quality * (QUALITY_STEPS // 100))

    @property
    def level(self) -> int:
        """The quality as the entropy networks see it, 0 to 255."""
        return level_of(self.hundredths)


def level_of(hundredths: int) -> int:
    """What the entropy networks see of a quality in hundredths: an integer from 0 to 255."""
    return (hundredths * LEVELS + QUALITY_STEPS // 2) // QUALITY_STEPS
