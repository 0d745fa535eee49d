"""The interface of words-to-mask backends."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """A words-to-mask backend: the similarity of each pixel with each phrase (TMA)."""

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
        """In (0, 1]: similarities of tau times this or more count if connected to one of tau."""
        ...

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterable[NDArray[np.float32]]:
        """A map for each phrase: (H, W) float32 in [0, 1]. An array (P, H, W) is allowed too.

        Args:
            image: (H, W, 3) uint8, RGB.
            phrases: P phrases, at least one.

        Raises:
            UnknownWord: if it does not know one of them.
        """
        ...


@runtime_checkable
class MultiNetwork(Protocol):
    """A backend that consists of several networks."""

    def networks(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """Load the networks that the phrases need and return their names; raises loading errors."""
        ...

    def recall(self, phrases: Sequence[str]) -> dict[str, float]:
        """Recall in [0, 1] of each class that the phrases stand for, by name, where it is known."""
        ...


def networks(backend: Backend, phrases: Sequence[str]) -> tuple[str, ...]:
    """Load the networks that look for the phrases, and return their names."""
    return backend.networks(phrases) if isinstance(backend, MultiNetwork) else (backend.name,)


def recall(backend: Backend, phrases: Sequence[str]) -> dict[str, float]:
    """The share of each class's pixels found in held-out photos, by name, where it is known."""
    return backend.recall(phrases) if isinstance(backend, MultiNetwork) else {}
