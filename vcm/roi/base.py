"""What every words-to-mask backend does."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class MultiNetwork(Protocol):
    """A backend that asks several networks."""

    def networks(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """The names of those that some phrases need, loaded; raises what loading them does."""
        ...

    def recall(self, phrases: Sequence[str]) -> dict[str, float]:
        """Of the classes that the phrases stand for, where it is known: in [0, 1] by name."""
        ...


def networks(backend: Backend, phrases: Sequence[str]) -> tuple[str, ...]:
    """The names of the networks that look for the phrases; all of them are loaded then."""
    return backend.networks(phrases) if isinstance(backend, MultiNetwork) else (backend.name,)


def recall(backend: Backend, phrases: Sequence[str]) -> dict[str, float]:
    """The share of each class's pixels found in photos kept apart, where that is known."""
    return backend.recall(phrases) if isinstance(backend, MultiNetwork) else {}
