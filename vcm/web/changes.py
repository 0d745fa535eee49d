"""What a task model sees in a decoded picture, against what it saw in the original."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm import draw
from vcm.vision.base import Objects, TaskModel

Image = NDArray[np.uint8]  # (H, W, 3) RGB
CONFIDENCE: Final = 0.25  # of what is drawn
OVERLAP: Final = 0.5  # of the boxes of one object; COCO's AP50 counts it as found
SPECK: Final = 0.001  # of the picture: what is smaller is not named
RED: Final = (255, 70, 70)
BLUE: Final = (80, 180, 255)


class Changes(NamedTuple):
    """Indices into the objects of the original (kept, lost) and of the decoded picture (new)."""

    kept: list[int]
    lost: list[int]
    new: list[int]


def changes(before: Objects, after: Objects) -> Changes:
    """Pairs of the same class whose boxes overlap by half or more, the surest first."""
    overlap = _iou(before.boxes, after.boxes)
    overlap[before.labels[:, None] != after.labels[None]] = 0
    kept, taken = [], set()
    for i, row in enumerate(overlap):
        free = [j for j in range(len(row)) if j not in taken and row[j] >= OVERLAP]
        if free:
            taken.add(max(free, key=lambda j: row[j]))
            kept.append(i)
    lost = [i for i in range(len(before.labels)) if i not in kept]
    return Changes(kept, lost, [j for j in range(len(after.labels)) if j not in taken])


def shown(model: Any, original: Image, decoded: Image) -> tuple[tuple[Image, Image], str]:
    """Both pictures with what the model sees on them, and a sentence on the difference.

    Lost objects are red on the decoded picture, new ones blue.
    """
    if model.kind == "semantic":
        return _labels(model, original, decoded)
    before, after = (model.detect(p).above(CONFIDENCE) for p in (original, decoded))
    found = changes(before, after)
    first = draw.boxed(draw.instances(original, before), draw.labelled(before, model.names))
    second = draw.boxed(draw.instances(decoded, after), draw.labelled(after, model.names))
    second = draw.boxed(second, _chosen(before, found.lost, model, "lost: "), RED, low=True)
    second = draw.boxed(second, _chosen(after, found.new, model, "new: "), BLUE)
    return (first, second), _sentence(model, before, after, found)


def _labels(model: Any, original: Image, decoded: Image) -> tuple[tuple[Image, Image], str]:
    before, after = model.segment(original), model.segment(decoded)
    pair = (
        draw.classes(original, before, model.names),
        draw.classes(decoded, after, model.names),
    )
    first, second = (_present(labels, model.names) for labels in (before, after))
    same = 100 * float((before == after).mean())
    return pair, (
        f"The model names {same:.1f} % of the pixels as before; "
        f"lost: {_listed(first - second)}; new: {_listed(second - first)}."
    )


def _present(labels: NDArray[np.uint8], names: Sequence[str]) -> set[str]:
    """What the labels name, background and specks left out."""
    counts = np.bincount(labels.ravel(), minlength=len(names))
    return {names[i] for i in np.flatnonzero(counts >= SPECK * labels.size).tolist() if i}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _chosen(
    objects: Objects, which: list[int], model: TaskModel, word: str
) -> list[tuple[list[float], str]]:
    return [(objects.boxes[i].tolist(), f"{word}{model.names[objects.labels[i]]}") for i in which]


def _sentence(model: TaskModel, before: Objects, after: Objects, found: Changes) -> str:
    def named(objects: Objects, which: list[int]) -> list[str]:
        return [f"{model.names[objects.labels[i]]} ({objects.scores[i]:.2f})" for i in which]

    total = len(before.labels)
    if not total and not found.new:
        return "The model finds nothing in the photo, before or after."
    return (
        f"The model finds {len(found.kept)} of {total} objects again; "
        f"lost: {_listed(named(before, found.lost))}; new: {_listed(named(after, found.new))}."
    )


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of each pair of boxes: (N, 4), (M, 4) -> (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - both
    result: NDArray[np.float32] = both / union.clip(1e-6)
    return result
