"""The built-in words-to-mask network: offline, a limited vocabulary that it is honest about."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm import weightfile
from vcm.errors import ModelError, SpecError, UnknownWord
from vcm.roi import session
from vcm.roi.refine import to_edges
from vcm.roi.vocabulary import Cover, vocabulary

LONG_SIDE: Final = 512  # of the picture as the network sees it: bounds time and memory


# By detail: the sizes at which the network looks at a picture, of the longer side relative to
# LONG_SIDE or to the picture, whichever is smaller.
LOOKS: Final = {1: (1.0, 0.6875), 2: (1.0, 2.0)}
DEFAULT: Final = Path(__file__).parents[1] / "weights" / "roi-base.safetensors"


class Embedded:
    """Similarity = probability that the pixel shows one of the classes that the phrase covers.

    Args:
        weights: a safetensors file, or words.onnx of a bundle; None: the one that comes with the
            package.
        detail: 2 looks at the picture at twice the size as well: small things are found more
            often, in three to four times the time.
        device: as `vcm.device.gpu_of` takes it.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
        SpecError: if detail is neither 1 nor 2, or the network cannot run on such a device.
    """

    name: Final = "embedded"
    growth: Final = 0.5

    def __init__(self, weights: str | Path | None = None, detail: int = 1, device: str = "cpu"):
        if detail not in LOOKS:
            raise SpecError(f"detail: expected 1 or 2, got {detail!r}")
        self.detail: Final = detail
        path = Path(weights or DEFAULT)
        network = session.load(path, device)
        self._run, self._names = network.run, network.names
        self.tau: Final = _threshold(path, network.card)
        self.recall: Final = _recall(path, network.card)

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterator[NDArray[np.float32]]:
        """A map of each phrase in turn: (H, W) float32 in [0, 1]; image: (H, W, 3) uint8 RGB.

        Raises:
            UnknownWord: as `check`.
        """
        planes = [self._planes(phrase) for phrase in phrases]
        p = probabilities(self._run, image, LOOKS[self.detail])
        return to_edges((p[own].sum(0) for own in planes), image)

    def check(self, phrase: str) -> None:
        """Raises UnknownWord if a phrase is not in the vocabulary, or not in this file of it."""
        self._planes(phrase)

    def _planes(self, phrase: str) -> list[int]:
        """Which of the network's planes show what a phrase stands for."""
        asked = [vocabulary().classes[i] for i in cover(phrase)]
        if missing := [name for name in asked if name not in self._names]:
            raise UnknownWord(
                f"{phrase!r}: {', '.join(missing)} is not among the words that this network was "
                f"exported for: {', '.join(self._names)}"
            )
        return [self._names.index(name) for name in asked]


@cache  # what cannot be told apart is said once, not for every picture
def cover(phrase: str) -> Cover:
    """The classes that a phrase stands for, see `Vocabulary.cover`."""
    return vocabulary().cover(phrase)


def probabilities(
    run: session.Run, image: NDArray[np.uint8], looks: Sequence[float] = LOOKS[1]
) -> NDArray[np.float32]:
    """Mean over looks: (N, h, w), a plane of each name, on a grid over the whole picture.

    Args:
        image: (H, W, 3) uint8, RGB.
    """
    each = [seen(run, image, size) for size in looks]
    if len(each) == 1:
        return each[0]
    height, width = (max(p.shape[axis] for p in each) for axis in (1, 2))
    total = np.zeros((len(each[0]), height, width), np.float32)
    for p in each:
        for target, plane in zip(total, p, strict=True):
            target += cv2.resize(plane, (width, height))
    total /= len(each)
    return total


def seen(run: session.Run, image: NDArray[np.uint8], size: float) -> NDArray[np.float32]:
    """What the network says at one size, on a grid over the whole picture: (channels, h, w).

    Args:
        image: (H, W, 3) uint8, RGB.
        size: of the longer side, relative to LONG_SIDE or to the picture, whichever is smaller.
    """
    height, width = image.shape[:2]
    scale = size * min(1.0, LONG_SIDE / max(height, width))
    # whole multiples of 32 in both directions: the grid then covers the picture, no more
    w, h = (max(32, 32 * round(n * scale / 32)) for n in (width, height))
    shrink = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (w, h), interpolation=shrink)
    x = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / 255
    return run(x)


def built_in() -> str:
    """SHA-256 in hex of the network that comes with the package: what its masks depend on."""
    return weightfile.card_of(DEFAULT).get("sha256", "")


def _threshold(path: Path, card: dict[str, str]) -> float:
    """The tau that the training found best on photos that it kept apart."""
    try:
        return float(card.get("tau", "0.5"))
    except ValueError as error:
        raise ModelError(
            f"{path}: tau is not a number: {card['tau']!r}; get a fresh copy"
        ) from error


def _recall(path: Path, card: dict[str, str]) -> dict[str, float]:
    """The share of each class's pixels found in photos kept apart; empty if it is not told."""
    try:
        return {name: float(share) for name, share in json.loads(card.get("recall", "{}")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: recall: expected a JSON object of numbers, got {card['recall'][:60]!r}; "
            "get a fresh copy"
        ) from error
