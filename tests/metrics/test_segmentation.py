"""mIoU against its definition, written out."""

import numpy as np
import pytest

from vcm.errors import MetricError
from vcm.metrics.segmentation import class_iou, confusion, mean_iou, relabelled


def by_definition(pairs, classes):
    """Mean over the classes that are there of pixels in both over pixels in either."""
    ious = []
    for c in range(classes):
        both = sum(((t == c) & (s == c) & (t != 255)).sum() for t, s in pairs)
        either = sum((((t == c) | (s == c)) & (t != 255)).sum() for t, s in pairs)
        if any((t == c).any() for t, _ in pairs):
            ious.append(both / either)
    return 100 * np.mean(ious)


@pytest.mark.parametrize("seed", range(5))
def test_mean_iou_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(4):
        true = rng.integers(0, 4, (9, 11)).astype(np.uint8)
        true[rng.random(true.shape) < 0.1] = 255
        seen = np.where(rng.random(true.shape) < 0.6, true % 255, rng.integers(0, 4, true.shape))
        pairs.append((true, seen.astype(np.uint8) % 5))
    counts = np.stack([confusion(t, s, 6) for t, s in pairs])
    assert mean_iou(counts, np.ones((1, 4)))[0] == pytest.approx(by_definition(pairs, 6))
    weights = np.array([[2.0, 0.0, 1.0, 1.0]])
    repeated = [pairs[0], pairs[0], pairs[2], pairs[3]]
    assert mean_iou(counts, weights)[0] == pytest.approx(by_definition(repeated, 6))
    assert np.isnan(class_iou(counts, weights)[0, 5])


def test_what_cannot_be_compared():
    a = np.zeros((3, 4), np.uint8)
    with pytest.raises(MetricError, match="equal size"):
        confusion(a, a[:2], 3)
    with pytest.raises(MetricError, match="under 3"):
        confusion(a, a + 3, 3)


def test_labels_of_other_names():
    labels = np.array([[0, 1, 2]], np.uint8)
    moved = relabelled(labels, ("background", "kite", "cat"), ("background", "bird", "cat"))
    assert moved.tolist() == [[0, 0, 2]]


def test_a_wrong_pixel_of_a_class_that_is_not_there_costs_a_pixel_and_not_a_class():
    true = np.zeros((10, 10), np.uint8)
    seen = true.copy()
    seen[0, 0] = 2
    counts = confusion(true, seen, 3)[None]
    assert mean_iou(counts, np.ones((1, 1)))[0] == pytest.approx(99)


def test_classes_are_found_by_any_spelling():
    labels = np.array([[0, 1, 2]], np.uint8)
    target = ("background", "cat", "couch")
    for names in (("background", "sofa", "cat"), ("__background__", "Couch", "CAT")):
        assert relabelled(labels, names, target).tolist() == [[0, 2, 1]]
