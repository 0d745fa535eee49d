"""Objects followed over the frames of a clip, and how well two such followings agree."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MetricError, MissingExtra
from vcm.vision.base import Objects

Floats = NDArray[np.float64]
SURE: Final = 0.5  # confidence from which an object is followed
SAME: Final = 0.5  # IoU from which two boxes are of one object, for MOTA and IDF1
NEAR: Final = 0.3  # IoU from which a box goes on with a track
PATIENCE: Final = 10  # frames in which an object may be missed before its track ends


class Followed(NamedTuple):
    """The objects of a frame with the tracks that they belong to.

    Attributes:
        ids: (N,) int64, of the tracks.
        boxes: (N, 4) float64, x1, y1, x2, y2.
        labels: (N,) int64.
    """

    ids: NDArray[np.int64]
    boxes: Floats
    labels: NDArray[np.int64]


@dataclass
class _Track:
    """An object that is followed: where it was, how it moves, and since when it is missed."""

    id: int
    label: int
    box: Floats
    shift: Floats = field(default_factory=lambda: np.zeros(4))
    missed: int = 0

    def expected(self) -> Floats:
        """Where it should be now."""
        return self.box + (self.missed + 1) * self.shift

    def take(self, box: Floats) -> None:
        """It was found again."""
        self.shift = (box - self.box) / (self.missed + 1)
        self.box, self.missed = box, 0


class Tracker:
    """Follows boxes by where they should be: the simplest tracker that keeps identities.

    Of each class, tracks and boxes are paired so that their IoU is largest in all; what is left
    over begins a track.

    Source: Bewley et al. 2016, SORT, arXiv:1602.00763. Deviation: the place of a box is carried on
    by its last shift, without a Kalman filter; only sure boxes are followed.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 0

    def __call__(self, found: Objects) -> Followed:
        """The sure objects of the next frame with their tracks."""
        sure = found.above(SURE)
        boxes, ids = sure.boxes.astype(np.float64), np.full(len(sure.boxes), -1)
        for place, track in self._pairs(boxes, sure.labels):
            track.take(boxes[place])
            ids[place] = track.id
        going = set(ids.tolist())
        for track in self._tracks:
            track.missed += track.id not in going
        self._tracks = [t for t in self._tracks if t.missed <= PATIENCE]
        for place in np.flatnonzero(ids < 0).tolist():
            ids[place] = self._next
            self._tracks.append(_Track(self._next, int(sure.labels[place]), boxes[place]))
            self._next += 1
        return Followed(ids, boxes, sure.labels)

    def _pairs(self, boxes: Floats, labels: NDArray[np.int64]) -> list[tuple[int, _Track]]:
        """Each box that goes on with a track, by its place."""
        from scipy.optimize import linear_sum_assignment

        if not len(boxes) or not self._tracks:
            return []
        expected = np.stack([track.expected() for track in self._tracks])
        alike = labels[:, None] == np.array([track.label for track in self._tracks])
        near = np.where(alike, iou(boxes, expected), 0.0)
        pairs = zip(*linear_sum_assignment(near, maximize=True), strict=True)
        return [(int(i), self._tracks[j]) for i, j in pairs if near[i, j] >= NEAR]


def iou(a: Floats, b: Floats) -> Floats:
    """Of each two boxes: (N, M), of (N, 4) and (M, 4) x1, y1, x2, y2."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    areas = (np.prod(box[:, 2:] - box[:, :2], -1) for box in (a, b))
    whole = next(areas)[:, None] + next(areas) - shared
    share: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return share


def scores(truth: Sequence[Followed], found: Sequence[Followed]) -> dict[str, float]:
    """MOTA and IDF1 in percent, by motmetrics; of the same frames.

    Source: Bernardin and Stiefelhagen 2008, "CLEAR MOT"; Ristani et al. 2016, arXiv:1609.01775.

    Raises:
        MetricError: if the truth has no object.
        MissingExtra: if motmetrics is not installed.
    """
    motmetrics = library()
    if not any(len(frame.ids) for frame in truth):
        raise MetricError("MOTA, IDF1: there is no object to be followed")
    events = motmetrics.MOTAccumulator(auto_id=True)
    for true, seen in zip(truth, found, strict=True):
        apart = 1 - iou(true.boxes, seen.boxes)
        others = true.labels[:, None] != seen.labels
        apart[others | (apart > 1 - SAME)] = np.nan  # which stand for no pair at all
        events.update(true.ids.tolist(), seen.ids.tolist(), apart)
    table = motmetrics.metrics.create().compute(events, metrics=["mota", "idf1"], name="clip")
    return {"MOTA": 100 * float(table["mota"].iloc[0]), "IDF1": 100 * float(table["idf1"].iloc[0])}


def library() -> Any:
    """motmetrics; raises MissingExtra if it is not installed."""
    try:
        import motmetrics
    except ImportError as error:
        raise MissingExtra("motmetrics", "video") from error
    return motmetrics
