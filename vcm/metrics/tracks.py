"""Tracks of objects over the frames of a clip, and how well two sets of them agree."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MetricError, MissingExtra
from vcm.vision.base import Objects

Floats = NDArray[np.float64]
SURE: Final = 0.5  # least confidence of an object that is tracked
SAME: Final = 0.5  # least IoU of two boxes that match, for MOTA and IDF1
NEAR: Final = 0.3  # least IoU of a box that continues a track
PATIENCE: Final = 10  # frames that an object may be missing before its track ends


class Followed(NamedTuple):
    """The objects of a frame and the tracks that they belong to.

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
    """A tracked object: where it was, how it moves, and for how many frames it has been missing."""

    id: int
    label: int
    box: Floats
    shift: Floats = field(default_factory=lambda: np.zeros(4))
    missed: int = 0

    def expected(self) -> Floats:
        """Where its box should be in the next frame."""
        return self.box + (self.missed + 1) * self.shift

    def take(self, box: Floats) -> None:
        """Continue the track with a box."""
        self.shift = (box - self.box) / (self.missed + 1)
        self.box, self.missed = box, 0


class Tracker:
    """Follows boxes by their predicted positions: the simplest tracker that keeps identities.

    Within each class, tracks and boxes are paired so that the sum of their IoUs is largest; each
    box that is left over begins a new track.

    Source: Bewley et al. 2016, SORT, arXiv:1602.00763. Deviation: a box's position is extrapolated
    from its last shift, without a Kalman filter; only confident boxes are tracked.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 0

    def __call__(self, found: Objects) -> Followed:
        """The confident objects of the next frame with their tracks."""
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
        """Each box that continues a track, by its index, with that track."""
        from scipy.optimize import linear_sum_assignment

        if not len(boxes) or not self._tracks:
            return []
        expected = np.stack([track.expected() for track in self._tracks])
        alike = labels[:, None] == np.array([track.label for track in self._tracks])
        near = np.where(alike, iou(boxes, expected), 0.0)
        pairs = zip(*linear_sum_assignment(near, maximize=True), strict=True)
        return [(int(i), self._tracks[j]) for i, j in pairs if near[i, j] >= NEAR]


def iou(a: Floats, b: Floats) -> Floats:
    """The IoU of each pair of boxes: (N, M), from (N, 4) and (M, 4) x1, y1, x2, y2."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), -1)
    areas = (np.prod(box[:, 2:] - box[:, :2], -1) for box in (a, b))
    whole = next(areas)[:, None] + next(areas) - shared
    share: Floats = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return share


def scores(truth: Sequence[Followed], found: Sequence[Followed]) -> dict[str, float]:
    """MOTA and IDF1 in percent, by motmetrics; both sequences are of the same frames.

    Source: Bernardin and Stiefelhagen 2008, "CLEAR MOT"; Ristani et al. 2016, arXiv:1609.01775.

    Raises:
        MetricError: if the truth has no object.
        MissingExtra: if motmetrics is not installed.
    """
    motmetrics = library()
    if not any(len(frame.ids) for frame in truth):
        raise MetricError("MOTA, IDF1: the truth has no object to follow")
    events = motmetrics.MOTAccumulator(auto_id=True)
    for true, seen in zip(truth, found, strict=True):
        apart = 1 - iou(true.boxes, seen.boxes)
        others = true.labels[:, None] != seen.labels
        apart[others | (apart > 1 - SAME)] = np.nan  # these can never be a pair
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
