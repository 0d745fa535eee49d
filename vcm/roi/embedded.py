"""The built-in words-to-mask network: offline, with a limited vocabulary."""

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


# By detail: the sizes at which the network looks at a picture: its longer side, relative to
# LONG_SIDE or to the picture's own, whichever is smaller.
LOOKS: Final = {1: (1.0, 0.6875), 2: (1.0, 2.0)}
DEFAULT: Final = Path(__file__).parents[1] / "weights" / "roi-base.safetensors"


class Embedded:
    """Similarity = probability that the pixel shows one of the classes that the phrase stands for.

    Args:
        weights: a safetensors file, or words.onnx of a bundle; None: the one that comes with the
            package.
        detail: 2 also looks at the picture at twice the size, which finds more small things and
            takes three to four times as long.
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
        """Raises UnknownWord if a phrase is not in the vocabulary, or this file was exported
        without it."""
        self._planes(phrase)

    def _planes(self, phrase: str) -> list[int]:
        """Indices of the network's planes for the classes that a phrase stands for."""
        asked = [vocabulary().classes[i] for i in cover(phrase)]
        if missing := [name for name in asked if name not in self._names]:
            raise UnknownWord(
                f"{phrase!r}: {', '.join(missing)} is not among the words that this network was "
                f"exported for: {', '.join(self._names)}"
            )
        return [self._names.index(name) for name in asked]


@cache  # so that warnings about a phrase are logged once, not for every picture
def cover(phrase: str) -> Cover:
    """The classes that a phrase stands for, see `Vocabulary.cover`."""
    return vocabulary().cover(phrase)


def probabilities(
    run: session.Run, image: NDArray[np.uint8], looks: Sequence[float] = LOOKS[1]
) -> NDArray[np.float32]:
    """Mean over looks: (N, h, w), a plane for each of the network's names, over the whole picture.

    Args:
        image: (H, W, 3) uint8, RGB.
        looks: sizes, as for `seen`.
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
    """The network's output at one size: (channels, h, w), over the whole picture.

    Args:
        image: (H, W, 3) uint8, RGB.
        size: longer side, relative to LONG_SIDE or to the picture's own, whichever is smaller.
    """
    height, width = image.shape[:2]
    scale = size * min(1.0, LONG_SIDE / max(height, width))
    # multiples of 32 in both directions, so that the output covers exactly the picture
    w, h = (max(32, 32 * round(n * scale / 32)) for n in (width, height))
    interpolation = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (w, h), interpolation=interpolation)
    x = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / 255
    return run(x)


def built_in() -> str:
    """SHA-256, in hex, of the network that comes with the package."""
    return weightfile.card_of(DEFAULT).get("sha256", "")


def _threshold(path: Path, card: dict[str, str]) -> float:
    """The tau that was best on photos held out from training."""
    try:
        return float(card.get("tau", "0.5"))
    except ValueError as error:
        raise ModelError(
            f"{path}: tau is not a number: {card['tau']!r}; get a fresh copy"
        ) from error


def _recall(path: Path, card: dict[str, str]) -> dict[str, float]:
    """The share of each class's pixels found in held-out photos; empty if the card has none."""
    try:
        return {name: float(share) for name, share in json.loads(card.get("recall", "{}")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: recall: expected a JSON object of numbers, got {card['recall'][:60]!r}; "
            "get a fresh copy"
        ) from error
