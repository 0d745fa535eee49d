"""The ROI that people drew: what a text would mean if its mask were perfect."""

from functools import cache
from typing import Any

import numpy as np

from vcm.dataset import VOC, DataSet, coco
from vcm.errors import SpecError
from vcm.evaluate.codecs import Image, Roi
from vcm.evaluate.plan import Plan
from vcm.metrics.detection import categories, has_masks
from vcm.roi.acquire import unwarned
from vcm.roi.mask import RoiMask, valued
from vcm.scale.sources import Source
from vcm.vision.names import coco_name


def true_roi(plan: Plan, photo: Source, picture: Image) -> RoiMask:
    """The union of what people drew of the task's classes, without those that it excludes.

    Raises:
        SpecError: if the data have no masks, the task's words are not its classes, or they show
            nothing and that is an error.
    """
    task = plan.task
    wanted = {coco_name(name) for name in task.classes or task.phrases}
    without = {coco_name(name) for name in task.exclude}
    if unknown := sorted((wanted | without) - known(plan.data)):
        raise SpecError(
            f"--roi truth: nobody drew {', '.join(unknown)} on {plan.data.name}; it has "
            f"{', '.join(sorted(known(plan.data)))}"
        )
    roi = _drawn(plan.data, photo, wanted, picture) & ~_drawn(plan.data, photo, without, picture)
    source = f"true masks of {', '.join(sorted(wanted)[:5])}"
    with unwarned():
        return valued(roi, task.sigma, source, plan.on_empty, f"{photo.name}: no {source}")


def known(data: DataSet) -> set[str]:
    """Names of the classes that people drew.

    Raises:
        SpecError: if there are no masks.
    """
    if data.masks is not None:
        return set(VOC)
    if data.annotations is None:
        raise SpecError(f"{data.name}: --roi truth needs ground truth; it has none")
    if not has_masks(_index(data)):
        raise SpecError(f"{data.name}: --roi truth needs masks; some objects have boxes only")
    return set(categories(_index(data)))


def _drawn(data: DataSet, photo: Source, names: set[str], picture: Image) -> Roi:
    """Where people drew some of the classes: (H, W)."""
    roi: Roi = np.zeros(picture.shape[:2], np.bool_)
    if data.masks is not None:
        return np.isin(data.labels(photo), [i for i, name in enumerate(VOC) if name in names])
    index = _index(data)
    chosen = [i for name, i in categories(index).items() if name in names]
    said = index.imgs[photo.id]  # not every file says how large its pictures are
    said["height"], said["width"] = said.get("height", len(roi)), said.get("width", len(roi[0]))
    for entry in index.loadAnns(index.getAnnIds([photo.id], chosen) if chosen else []):
        roi |= index.annToMask(entry).astype(np.bool_)
    return roi


@cache
def _index(data: DataSet) -> Any:
    assert data.annotations is not None
    return coco(data.annotations)
