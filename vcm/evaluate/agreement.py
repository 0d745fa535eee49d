"""Ground truth for photos without labels: what the model itself finds in the uncompressed ones."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from vcm.errors import MetricError
from vcm.evaluate.record import Record, Seen
from vcm.vision.base import Objects

SURE: Final = 0.5  # confidence from which an object counts as there


def own_truth(records: Sequence[Record], names: Sequence[str], masks: bool) -> dict[str, Any]:
    """A COCO file of what the model itself is sure of on the uncompressed pictures.

    Args:
        names: of the model's classes.
        masks: whether objects have masks, not only boxes.

    Raises:
        MetricError: if it is sure of nothing.
    """
    annotations = [
        entry
        for i, record in enumerate(records)
        for entry in _entries(i, objects(record.original), masks)
    ]
    for number, entry in enumerate(annotations, 1):
        entry["id"] = number
    if not annotations:
        raise MetricError(
            f"the model finds nothing with a confidence of {SURE:g} in these pictures: "
            f"there is nothing to agree with"
        )
    images = [{"id": i, "height": r.height, "width": r.width} for i, r in enumerate(records)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _entries(image: int, found: Objects, masks: bool) -> Iterable[dict[str, Any]]:
    for i in np.flatnonzero(found.scores >= SURE).tolist():
        x1, y1, x2, y2 = found.boxes[i].tolist()
        entry = {
            "image_id": image,
            "category_id": int(found.labels[i]) + 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        yield entry | ({"segmentation": found.masks[i]} if masks and found.masks else {})


def objects(seen: Seen) -> Objects:
    """What a detector saw."""
    assert isinstance(seen, Objects)
    return seen
