"""The ROI that people drew: what a text would mean if its mask were perfect."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.dataset import VOC, DataSet, coco
from vcm.errors import SpecError
from vcm.evaluate.plan import Plan
from vcm.evaluate.rated import Image
from vcm.metrics.detection import categories, has_masks
from vcm.roi.acquire import unwarned
from vcm.roi.mask import RoiMask, valued
from vcm.scale.sources import Source
from vcm.vision.names import coco_name

Roi = NDArray[np.bool_]  # (H, W)
SLACK: Final = 2.0  # pixels that a box may lie outside: tools round, and count from 1
TURNED: Final = "EXIF turns the photo, and its labels seem to be drawn on it as it is stored"
UPRIGHT: Final = "turned by EXIF: its labels are assumed to be drawn on the upright picture"


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
            f"true masks: nobody drew {', '.join(unknown)} on {plan.data.name}; it has "
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
        raise SpecError(f"{data.name}: there are no labels, so no true masks")
    if not has_masks(labels(data)):
        raise SpecError(f"{data.name}: there are no true masks of some objects, only boxes")
    return set(categories(labels(data)))


def _drawn(data: DataSet, photo: Source, names: set[str], picture: Image) -> Roi:
    """Where people drew some of the classes: (H, W)."""
    roi: Roi = np.zeros(picture.shape[:2], np.bool_)
    if data.masks is not None:
        return np.isin(data.labels(photo), [i for i, name in enumerate(VOC) if name in names])
    index = labels(data)
    chosen = [i for name, i in categories(index).items() if name in names]
    said = index.imgs[photo.id]  # not every file says how large its pictures are
    said["height"], said["width"] = said.get("height", len(roi)), said.get("width", len(roi[0]))
    for entry in index.loadAnns(index.getAnnIds([photo.id], chosen) if chosen else []):
        roi |= index.annToMask(entry).astype(np.bool_)
    return roi


def check_mask(data: DataSet, photo: Source, picture: Image, way: int) -> Iterator[str]:
    """Check that the class mask of a photo fits it; yields what is odd.

    Args:
        way: how the file is turned by EXIF, 1 to 8.

    Raises:
        SpecError: if the mask has another size or is missing.
    """
    shape = data.labels(photo).shape
    _check_size(photo, picture, (shape[0], shape[1]), way, "class mask has")
    if way > 1:
        yield UPRIGHT


def check_photo(data: DataSet, photo: Source, picture: Image, way: int) -> Iterator[str]:
    """Whether the labels of a photo fit it; yields what is odd.

    Args:
        way: how the file is turned by EXIF, 1 to 8.

    Raises:
        SpecError: if the file of the labels says another size.
    """
    index, (height, width) = labels(data), picture.shape[:2]
    entry = index.imgs[photo.id]
    said = entry.get("height", height), entry.get("width", width)
    _check_size(photo, picture, said, way, "COCO entry says")
    boxes = [entry["bbox"] for entry in index.imgToAnns[photo.id]]
    if any(x < -SLACK or y < -SLACK or x + w > width + SLACK or y + h > height + SLACK
           for x, y, w, h in boxes):  # fmt: skip
        yield "boxes reach outside the picture: they may belong to another one"
    if boxes and way > 1:
        yield UPRIGHT


def _check_size(photo: Source, picture: Image, said: tuple[int, int], way: int, whose: str) -> None:
    """Refuse labels whose stated size (H, W) is not the picture's."""
    height, width = picture.shape[:2]
    if said == (height, width):
        return
    turned = said == (width, height) and way > 1
    raise SpecError(
        f"{photo.name}: {width}x{height} pixels, its {whose} {said[1]}x{said[0]}: "
        f"{TURNED if turned else 'was it resized or turned? Its labels cannot fit'}",
        hint="turned" if turned else "",
    )


def labels(data: DataSet) -> Any:
    """pycocotools' index of the set's labels, read once for each state of the file."""
    assert data.annotations is not None
    stat = data.annotations.stat()
    return _labels(data.annotations, (stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=2)
def _labels(path: Path, state: tuple[int, int]) -> Any:
    return coco(path)
