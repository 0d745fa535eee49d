"""Labels of training photos: masks drawn by people first, then boxes, hints and a teacher.

Label planes are (H/2, W/2, 4) uint8: two classes of a pixel, counted from 1, each followed by its
probability times 255; 255 as the first class: unknown.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcm.roi.vocabulary import vocabulary

# VOC's classes by label value, under their names in our vocabulary.
VOC: Final = (
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch",
    "train", "tv",
)  # fmt: skip
# NYUv2's 40 classes by label value, likewise; "": wall, or classes for other things.
NYU: Final = (
    "", "floor", "cabinet", "bed", "chair", "couch", "dining table", "door", "window", "bookshelf",
    "picture", "counter", "blinds", "desk", "shelf", "curtain", "dresser", "pillow", "mirror",
    "rug", "clothes", "ceiling", "book", "refrigerator", "tv", "paper", "towel", "shower curtain",
    "box", "whiteboard", "person", "nightstand", "toilet", "sink", "lamp", "bathtub", "", "",
    "", "",
)  # fmt: skip
NONE, IGNORE = 0, 255
SURE: Final = 102  # of 255: from here the teacher overrules coarser labels of people
VEHICLES: Final = ("car", "bus", "truck", "train")  # as what the teacher sees trucks and cars
Planes = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Box = tuple[str, tuple[float, float, float, float]]  # class and x, y, w, h in pixels


def label(name: str) -> int:
    """The value of a class in label planes."""
    return vocabulary().classes.index(name) + 1


def _values(names: Sequence[str], first: int) -> NDArray[np.uint8]:
    """Our label for each value of a label map whose classes begin at `first`."""
    table = np.full(256, NONE, np.uint8)
    for value, name in enumerate(names, first):
        if name:
            table[value] = label(name)
    table[255] = IGNORE
    return table


def with_voc(teacher: Planes, voc: Labels) -> Planes:
    """VOC's mask where it has a label; elsewhere the teacher's classes that VOC does not have.

    VOC labels things on a table as table: there such classes of the teacher win.

    Args:
        voc: (H, W) uint8, VOC's label map.
    """
    values = _values(VOC, 1)
    return _drawn(teacher, values[_half(voc, teacher)], values, ("dining table",))


def with_nyu(teacher: Planes, nyu: Labels) -> Planes:
    """NYUv2's mask where it names a class; elsewhere the teacher's classes that it does not have.

    It has no classes for most small things and labels ovens as cabinets: where the teacher is sure
    of such a thing, it wins.

    Args:
        nyu: (H, W) uint8, 0-based classes.
    """
    values = _values(NYU, 0)
    return _drawn(teacher, values[_half(nyu, teacher)], values, tuple(n for n in NYU if n))


def _drawn(
    teacher: Planes, exact: Labels, values: NDArray[np.uint8], coarse: tuple[str, ...]
) -> Planes:
    """People's labels, and the teacher's for classes that people did not label.

    Args:
        exact: (h, w) uint8, what people drew.
        values: all labels that people used.
        coarse: those of their classes that a sure teacher overrules.
    """
    other = without(teacher, values)
    wins = np.isin(exact, [label(n) for n in coarse]) & (other[..., 1] >= SURE)
    result = other.copy()
    drawn = (exact != NONE) & ~wins
    result[drawn] = 0
    result[drawn, 0] = exact[drawn]
    result[drawn, 1] = 255
    return result


def without(planes: Planes, classes: NDArray[np.uint8]) -> Planes:
    """The planes without some classes; where the first is removed, the second takes its place."""
    result = planes.copy()
    for first in (2, 0):
        gone = np.isin(result[..., first], classes[classes != NONE])
        result[gone, first : first + 2] = 0
    empty = result[..., 0] == NONE
    result[empty, :2] = result[empty, 2:]
    result[empty, 2:] = 0
    return result


def with_boxes(teacher: Planes, boxes: Sequence[Box]) -> Planes:
    """Vehicles in people's boxes get the box's class; boxes without any become unknown."""
    result = teacher.copy()
    alike = np.array([label(n) for n in VEHICLES], np.uint8)
    for name, (x, y, w, h) in sorted(boxes, key=lambda b: -b[1][2] * b[1][3]):  # small ones last
        part = result[int(y / 2) : int((y + h) / 2) + 1, int(x / 2) : int((x + w) / 2) + 1]
        sees = np.isin(part[..., 0], alike)
        if sees.mean() < 0.2:
            part[part[..., 0] == NONE, 0] = IGNORE
            continue
        both = part[sees, 1].astype(int) + np.where(np.isin(part[sees, 2], alike), part[sees, 3], 0)
        part[sees, 0] = label(name)
        part[sees, 1] = np.clip(both, 204, 255)
        part[sees, 2:] = 0
    return result


def with_hint(teacher: Planes, name: str) -> Planes:
    """The planes of a photo that is known to show a class: low probabilities of it are raised.

    If there are too few, all unlabelled pixels become unknown.
    """
    value, result = label(name), teacher.copy()
    second = (result[..., 2] == value) & (result[..., 3] >= 26) & (result[..., 1] < 153)
    result[second] = result[second][:, [2, 3, 0, 1]]
    first = result[..., 0] == value
    if (result[first, 1] >= 26).sum() < 50:
        result[result[..., 0] == NONE, 0] = IGNORE
        return result
    result[first, 1] = np.round(255 * (result[first, 1] / 255.0) ** 0.4)
    rest = 255 - result[first, 1]
    result[first, 3] = np.minimum(result[first, 3], rest)
    return result


def _half(labels: Labels, planes: Planes) -> Labels:
    """Every second pixel of a label map, at the resolution of the planes."""
    result: Labels = labels[::2, ::2]
    assert result.shape == planes.shape[:2], (labels.shape, planes.shape)
    return result
