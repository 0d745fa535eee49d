"""Mean intersection over union of semantic segmentation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MetricError
from vcm.vision.names import coco_name

Floats = NDArray[np.float64]


def confusion(
    true: NDArray[np.uint8], seen: NDArray[np.uint8], classes: int, void: int = 255
) -> NDArray[np.int64]:
    """Pixels by (true class, seen class): (C, C) int64.

    Args:
        true, seen: (H, W) uint8, both in 0 to C - 1; pixels that are `void` in `true` are left out.

    Raises:
        MetricError: if the sizes differ or a label is out of range.
    """
    if true.shape != seen.shape:
        raise MetricError(f"mIoU: expected labels of equal size, got {true.shape} and {seen.shape}")
    valid = true != void
    pairs = true[valid].astype(np.int64), seen[valid].astype(np.int64)
    if any(len(p) and p.max() >= classes for p in pairs):
        raise MetricError(f"mIoU: expected labels under {classes}, got {[p.max() for p in pairs]}")
    counts = np.bincount(pairs[0] * classes + pairs[1], minlength=classes**2)
    return counts.reshape(classes, classes)


def counted(names: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which of a model's classes count: (C,) bool; all of them if `classes` is empty.

    Raises:
        MetricError: if the model knows none of `classes`.
    """
    wanted = {coco_name(name) for name in classes}
    known = np.array([not wanted or coco_name(name) in wanted for name in names])
    if not known.any():
        raise MetricError(
            f"the model knows none of the classes {', '.join(list(classes)[:8])}: "
            f"it knows {', '.join(list(names)[:8])}"
        )
    return known


def mean_iou(
    confusions: NDArray[np.int64], weights: Floats, among: NDArray[np.bool_] | None = None
) -> Floats:
    """mIoU in percent, over the classes in the ground truth: (R,), NaN if there are none.

    A class that is only predicted already takes pixels from the others; if it counted as well, one
    wrong pixel would cost a whole class.

    Args:
        confusions: (I, C, C), by `confusion`, one for each picture.
        weights: (R, I), how often each picture counts.
        among: (C,), which classes count; None: all.
    """
    iou = class_iou(confusions, weights)
    known = ~np.isnan(iou) & (True if among is None else among)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, iou, 0).sum(1) / known.sum(1)
    return mean


def class_iou(confusions: NDArray[np.int64], weights: Floats) -> Floats:
    """IoU in percent of each class: (R, C), NaN if it is not in the ground truth."""
    both = weights @ np.diagonal(confusions, axis1=1, axis2=2)  # (R, C)
    true, seen = (weights @ confusions.sum(axis) for axis in (2, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        iou: Floats = np.where(true > 0, 100 * both / (true + seen - both), np.nan)
    return iou


def relabelled(
    labels: NDArray[np.uint8], names: Sequence[str], target: Sequence[str]
) -> NDArray[np.uint8]:
    """Labels that index `names` as labels that index `target`; names missing there become 0."""
    place = {coco_name(name): i for i, name in enumerate(target)}
    places = [place.get(coco_name(name), 0) for name in names]
    return np.array(places, np.uint8)[labels]
