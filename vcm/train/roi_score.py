"""How well a words-to-mask network does on held-out photos, and the tau that suits it."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.roi.embedded import probabilities
from vcm.roi.network import PixelWordNet
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
    """The score at the tau that is best for the mean IoU; the net must be in eval mode.

    Only VOC's classes count: their masks are drawn by people, the others' by a teacher.
    """
    names = vocabulary().classes
    classes = np.array([names.index(name) for name in VOC])
    counts = np.stack([_counts(net, sample, classes) for sample in samples])  # (N, T, V, 3)
    both, found, true = np.moveaxis(counts, -1, 0).astype(np.float64)
    seen = true.sum((0, 1)) > 0
    union = (found + true - both).sum(0)
    iou = both.sum(0)[:, seen] / union[:, seen]
    best = int(iou.mean(1).argmax())
    absent = true[:, best] == 0
    empty = float((found[:, best][absent] == 0).mean())
    kept = [VOC[i] for i in np.flatnonzero(seen)]
    return Score(float(TAUS[best]), dict(zip(kept, iou[best].tolist(), strict=True)), empty)


def _counts(net: PixelWordNet, s: Sample, classes: NDArray[np.intp]) -> NDArray[np.int64]:
    """Pixels in both, found and true, for each tau and class: (T, V, 3)."""
    p = probabilities(net, s.pixels)[1 + classes]
    size = (s.labels.shape[1], s.labels.shape[0])
    counts = np.zeros((len(TAUS), len(classes), 3), np.int64)
    for j, (class_, small) in enumerate(zip(classes, p, strict=True)):
        similarity = cv2.resize(small, size)[s.labels != IGNORE]
        true = (s.labels == class_ + 1)[s.labels != IGNORE]
        for i, tau in enumerate(TAUS):
            found = similarity >= tau
            counts[i, j] = (found & true).sum(), found.sum(), true.sum()
    return counts
