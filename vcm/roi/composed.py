"""Several networks as one backend: each phrase goes to the network that can find it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.roi.base import Backend
from vcm.roi.outlines import Floats, lying_on, rescaled
from vcm.roi.specialists import finder, ground, meant, specialist
from vcm.roi.vocabulary import vocabulary

if TYPE_CHECKING:
    from vcm.roi.segmenter import SegmenterBackend


class Base(Backend, Protocol):
    """A backend that can tell, without a picture, which phrases of the vocabulary it can find."""

    def check(self, phrase: str) -> None:
        """Raises UnknownWord if it has none of the classes of a phrase."""
        ...


class Ask(NamedTuple):
    """A phrase for a network.

    Attributes:
        on: only what lies on this counts; None: everything counts.
    """

    network: Backend
    phrase: str
    on: "Ask | None" = None


class Composed:
    """Similarity = that of the network that finds the phrase, on the scale of `base`.

    Args:
        base: finds the classes of the vocabulary; name, tau and growth are taken from it.
        recall: of the base, by class, where it is known.
        preferred: used instead of the base for every phrase that it knows.
        device: of the specialists, as `vcm.device.gpu_of` takes it.

    Specialists find things that are not classes, see `vcm.roi.specialists`. They are loaded when a
    phrase needs them.
    """

    def __init__(
        self,
        base: Base,
        recall: Mapping[str, float] | None = None,
        preferred: "SegmenterBackend | None" = None,
        device: str = "cpu",
    ):
        self.name: Final = base.name
        self.tau: Final = base.tau
        self.growth: Final = base.growth
        self._base, self._preferred, self._device = base, preferred, device
        self._recall: Final = recall or {}
        self._asks: Final[dict[str, list[Ask]]] = {}

    def similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> Iterator[Floats]:
        """A map of each phrase in turn: (H, W) float32 in [0, 1]; image: (H, W, 3) uint8 RGB.

        Raises:
            UnknownWord: if no network knows a phrase; the message lists similar words.
            MissingExtra: if the package of a network that a phrase needs is not installed.
        """
        asked = [self._asked(phrase) for phrase in phrases]
        maps = _maps(image, [ask for asks in asked for ask in asks])
        return (reduce(np.maximum, [self._plane(ask, maps) for ask in asks]) for asks in asked)

    def networks(self, phrases: Sequence[str]) -> tuple[str, ...]:
        """Load the networks that the phrases need; their names. Raises as `similarity`."""
        asked = [ask for phrase in phrases for ask in self._asked(phrase)]
        return tuple(dict.fromkeys(one.network.name for ask in asked for one in _with_ground(ask)))

    def recall(self, phrases: Sequence[str]) -> dict[str, float]:
        """Recall in [0, 1], where it is known, of the classes that the base is asked for."""
        asked = [ask for phrase in phrases for ask in self._asked(phrase)]
        own = [o.phrase for ask in asked for o in _with_ground(ask) if o.network is self._base]
        known = vocabulary()
        names = (known.classes[i] for phrase in own for i in known.read(phrase).cover)
        return {name: self._recall[name] for name in names if name in self._recall}

    def _asked(self, phrase: str) -> list[Ask]:
        """The asks whose union is meant by a phrase; worked out once, not for every picture."""
        if phrase not in self._asks:
            names = (phrase,) if self._class(phrase) else meant(phrase)
            self._asks[phrase] = [self._class(name) or self._special(name) for name in names]
        return self._asks[phrase]

    def _class(self, phrase: str) -> Ask | None:
        """The ask for a phrase that stands for classes; None if it does not."""
        if self._preferred is not None and self._preferred.knows(phrase):
            return Ask(self._preferred, phrase)
        if not vocabulary().knows(phrase):
            return None
        self._base.check(phrase)
        return Ask(self._base, phrase)

    def _special(self, name: str) -> Ask:
        on = ground(name)
        return Ask(specialist(finder(name), self._device), name, self._class(on) if on else None)

    def _plane(self, ask: Ask, maps: Mapping[Backend, Iterator[Floats]]) -> Floats:
        """What was found for an ask: (H, W) in [0, 1], on the base's scale."""
        plane, network = next(maps[ask.network]), ask.network
        if network is not self._base:
            plane = rescaled(plane, network.tau, self.tau, self.growth)
        return lying_on(plane, self._plane(ask.on, maps) >= self.tau) if ask.on else plane


def _maps(image: NDArray[np.uint8], asks: Sequence[Ask]) -> dict[Backend, Iterator[Floats]]:
    """The maps of each network, in the order of its asks; each network runs once."""
    phrases: dict[Backend, list[str]] = {}
    for ask in asks:
        for one in _with_ground(ask):
            phrases.setdefault(one.network, []).append(one.phrase)
    return {network: iter(network.similarity(image, own)) for network, own in phrases.items()}


def _with_ground(ask: Ask) -> list[Ask]:
    """An ask, and that of its `on`, in the order in which `Composed._plane` reads the maps."""
    return [ask, *(_with_ground(ask.on) if ask.on else [])]
