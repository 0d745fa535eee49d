"""Tracks, MOTA and IDF1: small cases whose numbers are known by hand."""

import numpy as np
import pytest

from vcm.errors import MetricError
from vcm.metrics.tracks import Followed, Tracker, iou, scores
from vcm.vision.base import Objects

SIDE = 20


def at(*places: tuple[int, int, int], label: int = 0) -> Followed:
    """Squares of a frame: id, x and y of each."""
    boxes = np.array([(x, y, x + SIDE, y + SIDE) for _, x, y in places], float).reshape(-1, 4)
    ids = np.array([i for i, *_ in places], np.int64)
    return Followed(ids, boxes, np.full(len(ids), label))


def seen(*boxes: tuple[float, ...], score: float = 0.9, label: int = 0) -> Objects:
    found = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(found)
    return Objects(found, np.full(count, score, np.float32), np.full(count, label))


def square(x: float, y: float = 0) -> tuple[float, ...]:
    return x, y, x + SIDE, y + SIDE


def test_iou_by_hand() -> None:
    a = np.array([square(0), square(100)], float)
    b = np.array([square(0), square(10), square(5, 5), (3, 3, 3, 9)], float)
    found = iou(a, b)
    assert found[0] == pytest.approx([1, 1 / 3, 225 / 575, 0]) and not found[1].any()
    assert iou(a[:0], b).shape == (0, 4)


TWO = [at((1, 0, 0), (2, 100, 0))] * 4


@pytest.mark.parametrize(
    ("found", "mota", "idf1"),
    [
        (TWO, 1.0, 1.0),
        # one missed, one switched, one too many: 1 - 3 / 8; of 8 and 8, 6 keep their identity
        (
            [
                at((1, 0, 0), (2, 100, 0)),
                at((1, 0, 0), (3, 100, 0)),
                at((1, 0, 0)),
                at((1, 0, 0), (3, 100, 0), (4, 300, 0)),
            ],
            1 - 3 / 8,
            2 * 6 / 16,
        ),
        # 9 of 20 pixels away the IoU is 11 / 29: as good as missed, and one too many
        ([at((1, 9, 0), (2, 100, 0))] * 4, 1 - 8 / 8, 2 * 4 / 16),
        # 6 of 20: 14 / 26, still it
        ([at((1, 6, 0), (2, 100, 0))] * 4, 1.0, 1.0),
        # of another class: all are missed, and as many are too many
        ([at((1, 0, 0), (2, 100, 0), label=1)] * 4, 1 - 16 / 8, 0.0),
        # nothing found
        ([at()] * 4, 0.0, 0.0),
        # identities change places halfway: 2 switches; half of the boxes keep theirs
        (TWO[:2] + [at((2, 0, 0), (1, 100, 0))] * 2, 1 - 2 / 8, 2 * 4 / 16),
    ],
)
def test_mota_and_idf1_by_hand(found: list[Followed], mota: float, idf1: float) -> None:
    pytest.importorskip("motmetrics", reason="needs: pip install 'vcm[video]'")
    assert scores(TWO, found) == pytest.approx({"MOTA": 100 * mota, "IDF1": 100 * idf1})


def test_without_objects_there_is_no_score() -> None:
    pytest.importorskip("motmetrics", reason="needs: pip install 'vcm[video]'")
    with pytest.raises(MetricError, match="no object to follow"):
        scores([at()] * 3, TWO[:3])


def test_objects_keep_their_identity_where_they_go_on() -> None:
    tracker = Tracker()
    ids = [tracker(seen(square(8 * i), square(200 - 8 * i))).ids.tolist() for i in range(4)]
    assert ids == [[0, 1]] * 4
    assert tracker(seen(square(200 - 8 * 4))).ids.tolist() == [1]  # the first one is missed
    assert tracker(seen(square(8 * 5))).ids.tolist() == [0]  # and is found where it should be


def test_what_begins_anew() -> None:
    tracker = Tracker()
    assert tracker(seen(square(0))).ids.tolist() == [0]
    assert tracker(seen(square(0), label=1)).ids.tolist() == [1]  # another class
    assert tracker(seen(square(60))).ids.tolist() == [2]  # too far
    assert tracker(seen(square(0), score=0.4)).ids.tolist() == []  # not sure
    for _ in range(11):
        tracker(seen())
    assert tracker(seen(square(60))).ids.tolist() == [3]  # missed for too long


def test_of_two_that_are_near_each_takes_its_own() -> None:
    tracker = Tracker()
    tracker(seen(square(0), square(10)))
    assert tracker(seen(square(9), square(1))).ids.tolist() == [1, 0]
