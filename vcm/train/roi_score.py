"""The scores of a words-to-mask network on held-out photos, by class."""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.roi.acquire import select
from vcm.roi.embedded import LOOKS, Embedded, probabilities
from vcm.roi.refine import to_edges
from vcm.roi.session import Run
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_labels import IGNORE, Planes
from vcm.train.roi_loss import NOT_THERE, THERE
from vcm.train.roi_photos import LabelledPhoto

TAUS: Final = np.round(np.arange(0.1, 0.91, 0.05), 2)
LEAST: Final = 5e-3  # share of a photo that a class must cover for the photo to count in its recall
Counts = NDArray[np.int64]


class Score(NamedTuple):
    """The score of each class of the vocabulary, at the threshold that suits coding.

    Attributes:
        tau: that threshold.
        iou: (K,) in [0, 1], over the pixels of all photos; NaN for a class that none shows.
        recall: (K,) likewise, the mean over photos of the share of its pixels that is found.
        photos: (K,) int, number of photos that count in its recall.
        empty: share of the pairs (photo, class that it does not show) with an empty mask.
    """

    tau: float
    iou: NDArray[np.float64]
    recall: NDArray[np.float64]
    photos: NDArray[np.int64]
    empty: float


def score(run: Run, photos: Sequence[LabelledPhoto], looks: Sequence[float] = LOOKS[1]) -> Score:
    """The score at the tau that suits coding.

    That is the tau with the best mean IoU if missed pixels count twice: they lose a part of the
    object, while extra pixels only cost some bits.
    """
    counts = np.stack([_counts(run, photo, looks) for photo in photos])  # (N, T, K, 4)
    both, found, true, known = np.moveaxis(counts, -1, 0).astype(np.float64)
    seen = true.sum((0, 1)) > 0
    union, missed = (found + true - both).sum(0), (true - both).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = both.sum(0) / union
        best = int(np.nanmean((both.sum(0) / (union + missed))[:, seen], 1).argmax())
        large = true[:, best] > LEAST * known[:, best]
        recall = np.where(large, both[:, best] / true[:, best], 0).sum(0) / large.sum(0)
    empty = float((found[:, best][true[:, best] == 0] == 0).mean())
    iou[:, ~seen] = np.nan
    return Score(float(TAUS[best]), iou[best], recall, large.sum(0), empty)


def card(score: Score) -> dict[str, str]:
    """A weight file's entries about a score; recall and IoU are JSON objects by class name."""
    names = vocabulary().classes

    def table(values: NDArray[np.float64]) -> str:
        shown = {n: round(float(v), 3) for n, v in zip(names, values, strict=True) if v == v}
        return json.dumps(shown)

    return {
        "tau": f"{score.tau:g}",
        "recall": table(score.recall),
        "iou": table(score.iou),
        "rightly_empty": f"{100 * score.empty:.1f}",
    }


def _counts(run: Run, photo: LabelledPhoto, looks: Sequence[float]) -> Counts:
    """Pixels in both, found, true and known, for each tau and class: (T, K, 4).

    Classes of rooms count only in NYUv2's photos, where people labelled them.
    """
    pixels, planes = photo.load()
    classes = len(vocabulary().classes if photo.framed else vocabulary().coco)
    p = probabilities(run, pixels, looks)[1:]
    counts = np.zeros((len(TAUS), len(vocabulary().classes), 4), np.int64)
    likely = [c for c in range(classes) if p[c].max() >= TAUS[0]]
    maps = dict(zip(likely, to_edges((p[c] for c in likely), pixels), strict=True))
    for c in {*likely, *(np.unique(planes[..., ::2]).astype(int) - 1).tolist()}:
        if not 0 <= c < classes:
            continue
        true, known = truth(planes, c + 1)
        counts[:, c, 2:] = (true & known).sum(), known.sum()
        for i, tau in enumerate(TAUS) if c in maps else ():
            found = select(maps[c], tau, tau * Embedded.growth)[::2, ::2] & known
            counts[i, c, :2] = (found & true).sum(), found.sum()
    return counts


def truth(planes: Planes, value: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where a class is, and where that is known: (H/2, W/2) bool each."""
    p = np.where(
        planes[..., 0] == value,
        planes[..., 1],
        np.where(planes[..., 2] == value, planes[..., 3], 0),
    )
    there = p >= 255 * THERE
    return there, (planes[..., 0] != IGNORE) & (there | (p < 255 * NOT_THERE))
