"""What every words-to-mask backend does."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """TMA: similarity of each pixel with each phrase."""

    @property
    def name(self) -> str:
        """Its key in the table of backends."""
        ...

    @property
    def tau(self) -> float:
        """The threshold that suits its similarities, in (0, 1)."""
        ...

    @property
    def growth(self) -> float:
        """In (0, 1]: similarities down to tau times this count where they touch some of tau."""
        ...

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterable[NDArray[np.float32]]:
        """A map for each phrase: (H, W) float32 in [0, 1]; an array (P, H, W) will do.

        Args:
            image: (H, W, 3) uint8, RGB.
            phrases: P phrases, at least one.

        Raises:
            UnknownWord: if it does not know one of them.
        """
        ...
