"""One label of a COCO file: read, refused, or left out for a reason that is counted."""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Final

from vcm.coco.outlines import outline
from vcm.coco.values import Entry, identity, number, shown
from vcm.errors import SpecError

NO_BOX: Final = "labels without a box are left out"
NO_IMAGE: Final = "labels of images that are not in the file are left out"
NO_CLASS: Final = "labels of categories that are not in the file are left out"
NO_AREA: Final = "boxes have no area: nothing can match them"


def label(
    row: Entry,
    at: str,
    images: Mapping[Hashable, Entry],
    categories: Mapping[Hashable, int],
    kinds: Counter[str],
) -> Entry | None:
    """The label, or None if it is left out; why is counted in `kinds`.

    Args:
        at: what messages call it.
        images, categories: what the file has, by the ids that it gives them.

    Raises:
        SpecError: if a field is not what it should be.
    """
    key = identity(row.get("image_id"), f"{at}: image_id")
    category = identity(row.get("category_id"), f"{at} (image {key}): category_id")
    at = f"{at} (image {key})"
    if reason := _left_out(row, key in images, category in categories):
        kinds[reason] += 1
        return None
    box = _box(row["bbox"], f"{at}: bbox")
    kinds[NO_AREA] += not box[2] * box[3]
    image = images[key]
    size = (image["height"], image["width"]) if {"height", "width"} <= image.keys() else None
    mask = outline(row.get("segmentation"), size, f"{at}: segmentation")
    return {
        "image_id": image["id"],
        "category_id": categories[category],
        "bbox": box,
        "area": box[2] * box[3],  # nothing that we score depends on the area of the mask
        "iscrowd": _crowd(row.get("iscrowd"), f"{at}: iscrowd"),
    } | ({} if mask is None else {"segmentation": mask})


def _left_out(row: Entry, has_image: bool, has_category: bool) -> str:
    """Why it is left out, "" if it is not."""
    if row.get("bbox") in (None, [], ""):
        return NO_BOX
    if not has_image:
        return NO_IMAGE
    return "" if has_category else NO_CLASS


def _box(value: object, where: str) -> list[float]:
    """x, y, width, height."""
    if not isinstance(value, list) or len(value) != 4:
        raise SpecError(f"{where}: expected [x, y, width, height], got {shown(value)}")
    box = [number(part, where) for part in value]
    if box[2] < 0 or box[3] < 0:
        raise SpecError(f"{where}: expected a width and height of 0 or more, got {shown(value)}")
    return box


def _crowd(value: object, where: str) -> int:
    if isinstance(value, bool | None):
        return int(value or 0)
    found = number(value, where)
    if found not in (0, 1):
        raise SpecError(f"{where}: expected 0 or 1, got {shown(value)}")
    return int(found)
