"""The built-in words-to-mask network: offline, a limited vocabulary that it is honest about."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm import weightfile
from vcm.errors import ModelError, SpecError
from vcm.roi import session
from vcm.roi.refine import to_edges
from vcm.roi.vocabulary import Cover, vocabulary

LONG_SIDE: Final = 512  # of the picture as the network sees it: bounds time and memory


class Look(NamedTuple):
    """How the network is shown a picture.

    Attributes:
        size: of the longer side, relative to LONG_SIDE or to the picture, whichever is smaller.
        mirrored: left and right exchanged.
    """

    size: float
    mirrored: bool = False


# By detail. A mirrored picture gets another answer: the mean of both is right more often.
LOOKS: Final = {
    1: (Look(1), Look(0.6875, mirrored=True)),
    2: (Look(1), Look(2)),
}
DEFAULT: Final = Path(__file__).parents[1] / "weights" / "roi-base.safetensors"


class Embedded:
    """Similarity = probability that the pixel shows one of the classes that the phrase covers.

    Args:
        weights: a safetensors file; None: the one that comes with the package.
        detail: 2 looks at the picture at twice the size as well: small things are found more
            often, in some three times the time.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
        SpecError: if detail is neither 1 nor 2.
    """

    name: Final = "embedded"
    growth: Final = 0.5

    def __init__(self, weights: str | Path | None = None, detail: int = 1):
        if detail not in LOOKS:
            raise SpecError(f"detail: expected 1 or 2, got {detail!r}")
        self.detail: Final = detail
        path = Path(weights or DEFAULT)
        self._run, card = session.load(path)
        self.tau: Final = _threshold(path, card)
        self.recall: Final = _recall(path, card)

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterator[NDArray[np.float32]]:
        """A map of each phrase in turn: (H, W) float32 in [0, 1]; image: (H, W, 3) uint8 RGB.

        Raises:
            UnknownWord: if a phrase is not in the vocabulary; near words are named.
        """
        covers = [cover(phrase) for phrase in phrases]
        p = probabilities(self._run, image, LOOKS[self.detail])
        return to_edges((p[[1 + i for i in classes]].sum(0) for classes in covers), image)


@cache  # what cannot be told apart is said once, not for every picture
def cover(phrase: str) -> Cover:
    """The classes that a phrase stands for, see `Vocabulary.cover`."""
    return vocabulary().cover(phrase)


def probabilities(
    run: session.Run, image: NDArray[np.uint8], looks: Sequence[Look] = LOOKS[1]
) -> NDArray[np.float32]:
    """Mean over looks: (K + 1, h, w), background and classes, on a grid over the whole picture.

    Args:
        image: (H, W, 3) uint8, RGB.
    """
    seen = [_seen(run, image, look) for look in looks]
    if len(seen) == 1:
        return seen[0]
    height, width = (max(p.shape[axis] for p in seen) for axis in (1, 2))
    total = np.zeros((len(seen[0]), height, width), np.float32)
    for p in seen:
        for target, plane in zip(total, p, strict=True):
            target += cv2.resize(plane, (width, height))
    total /= len(seen)
    return total


def _seen(run: session.Run, image: NDArray[np.uint8], look: Look) -> NDArray[np.float32]:
    """What the network says of one look: (K + 1, h, w)."""
    height, width = image.shape[:2]
    scale = look.size * min(1.0, LONG_SIDE / max(height, width))
    # whole multiples of 32 in both directions: the grid then covers the picture, no more
    w, h = (max(32, 32 * round(n * scale / 32)) for n in (width, height))
    shrink = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (w, h), interpolation=shrink)
    x = np.ascontiguousarray((small[:, ::-1] if look.mirrored else small).transpose(2, 0, 1)[None])
    p = run(x.astype(np.float32) / 255).probabilities
    return p[:, :, ::-1] if look.mirrored else p


def built_in() -> str:
    """SHA-256 in hex of the network that comes with the package: what its masks depend on."""
    return weightfile.card_of(DEFAULT).get("sha256", "")


def _threshold(path: Path, card: dict[str, str]) -> float:
    """The tau that the training found best on photos that it kept apart."""
    try:
        return float(card.get("tau", "0.5"))
    except ValueError as error:
        raise ModelError(f"{path}: tau is no number: {card['tau']!r}; get a fresh copy") from error


def _recall(path: Path, card: dict[str, str]) -> dict[str, float]:
    """How many of a class were found in photos kept apart, in [0, 1]; empty if it is not told."""
    try:
        return {name: float(share) for name, share in json.loads(card.get("recall", "{}")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: recall: expected a JSON object of numbers, got {card['recall'][:60]!r}; "
            "get a fresh copy"
        ) from error
