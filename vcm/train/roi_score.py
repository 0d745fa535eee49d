"""How well a words-to-mask network does on held-out photos, and the tau that suits it."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.roi.acquire import select
from vcm.roi.embedded import Embedded, probabilities
from vcm.roi.network import PixelWordNet
from vcm.roi.refine import to_edges
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_data import Sample
from vcm.train.roi_labels import IGNORE, VOC

TAUS: Final = np.linspace(0.1, 0.9, 17)


class Score(NamedTuple):
    """Attributes:
    tau: threshold that was chosen.
    iou: of each VOC class that occurs, in [0, 1], over the pixels of all photos.
    empty: share of the pairs (photo, VOC class that it does not show) with an empty mask.
    """

    tau: float
    iou: dict[str, float]
    empty: float

    @property
    def mean(self) -> float:
        """Mean over the classes, in percent."""
        return 100 * float(np.mean(list(self.iou.values())))


def score(net: PixelWordNet, samples: list[Sample]) -> Score:
    """The score at the tau that suits coding; the net must be in eval mode.

    That is the best mean IoU when a missed pixel counts twice: it is a part of the object that is
    lost, and one too many costs some bits.

    Only VOC's classes count: their masks are drawn by people, the others' by a teacher.
    """
    names = vocabulary().classes
    classes = np.array([names.index(name) for name in VOC])
    counts = np.stack([_counts(net, sample, classes) for sample in samples])  # (N, T, V, 3)
    both, found, true = np.moveaxis(counts, -1, 0).astype(np.float64)
    seen = true.sum((0, 1)) > 0
    union = (found + true - both).sum(0)
    iou = both.sum(0)[:, seen] / union[:, seen]
    missed = (true - both).sum(0)[:, seen]
    best = int((both.sum(0)[:, seen] / (union[:, seen] + missed)).mean(1).argmax())
    absent = true[:, best] == 0
    empty = float((found[:, best][absent] == 0).mean())
    kept = [VOC[i] for i in np.flatnonzero(seen)]
    return Score(float(TAUS[best]), dict(zip(kept, iou[best].tolist(), strict=True)), empty)


def _counts(net: PixelWordNet, s: Sample, classes: NDArray[np.intp]) -> NDArray[np.int64]:
    """Pixels in both, found and true, for each tau and class: (T, V, 3)."""
    maps = np.stack(list(to_edges(probabilities(net, s.pixels)[1 + classes], s.pixels)))
    known = s.labels != IGNORE
    counts = np.zeros((len(TAUS), len(classes), 3), np.int64)
    for j, class_ in enumerate(classes):
        similarity = maps[j]
        true = (s.labels == class_ + 1)[known]
        for i, tau in enumerate(TAUS):
            found = select(similarity, tau, tau * Embedded.growth)[known]
            counts[i, j] = (found & true).sum(), found.sum(), true.sum()
    return counts
