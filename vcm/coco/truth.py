"""What a COCO file says, in one spelling: images, labels, classes."""

import contextlib
import io
import posixpath
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vcm.coco.labels import label
from vcm.coco.values import Entry, identity, number, parse, rows, shown
from vcm.errors import MissingExtra, SpecError
from vcm.vision.names import coco_name, letters

KEYS: Final = ("images", "annotations", "categories")
SIDES: Final = ("height", "width")


@dataclass(frozen=True)
class Truth:
    """The labels of a set, checked.

    Attributes:
        images: "id" and, where they are said, "file_name", "height" and "width".
        annotations: of these images and categories: "id", "image_id", "category_id", "bbox" (x, y,
            w, h), "area", "iscrowd" and, of those that have a mask, "segmentation".
        categories: "id" and "name"; one of each class.
        notes: a sentence each on what was joined and what was left out.
    """

    images: tuple[Entry, ...]
    annotations: tuple[Entry, ...]
    categories: tuple[Entry, ...]
    notes: tuple[str, ...]


def read(path: Path) -> Truth:
    """The labels of a COCO instances file; see `checked`.

    Raises:
        SpecError: it cannot be read, is none, or a label is no label; which, and which field.
    """
    return checked(parse(path), str(path))


def checked(data: Entry, where: str) -> Truth:
    """The labels of what a COCO instances file holds.

    Numbers may be strings; what is null or missing has its plain meaning: no label, no crowd, no
    mask. Labels without a box, or of an image or category that the file has not, are left out and
    counted. Classes of one name, or of two spellings of it, are one.

    Args:
        where: what messages call it.

    Raises:
        SpecError: as `read`; or if all boxes are in fractions of the picture instead of pixels.
    """
    missing = [key for key in KEYS if key not in data]
    if missing:
        raise SpecError(f"{where}: not a COCO instances file: no {', '.join(missing)}")
    of_image = {key: entry for key, entry, _ in _images(data, where)}
    of_category, categories, notes = _categories(data, where)
    kinds = Counter[str]()
    told = (label(row, at, of_image, of_category, kinds) for at, row in rows(data, KEYS[1], where))
    # 0 means "unmatched" to pycocotools
    labels = tuple(entry | {"id": i} for i, entry in enumerate(filter(None, told), 1))
    if any(v % 1 for entry in labels for v in entry["bbox"]) and all(
        max(entry["bbox"]) <= 1 for entry in labels
    ):
        raise SpecError(
            f"{where}: no bbox has a number over 1: they are fractions of the picture, but COCO "
            f"has x, y, width and height in pixels; multiply them by the picture's size"
        )
    left = [f"{count} {kind}" for kind, count in kinds.items() if count]
    if left and not labels:
        raise SpecError(f"{where}: no label can be used: {'; '.join(left)}")
    bare = sum("segmentation" not in entry for entry in labels)
    if 0 < bare < len(labels):
        left.append(
            f"{bare} of {len(labels)} labels have no mask; mask AP needs a mask on every label"
        )
    alike = Counter((e["image_id"], e["category_id"], *e["bbox"]) for e in labels)
    if twice := len(labels) - len(alike):
        left.append(f"{twice} labels are duplicates: an object labelled twice is found only once")
    notes += [f"{where}: {line}" for line in left]
    return Truth(tuple(of_image.values()), labels, categories, tuple(notes))


def files(data: Entry, where: str) -> Iterator[tuple[Entry, Entry]]:
    """The images of a COCO file by "id" and "file_name", and what else it says of each.

    Raises:
        SpecError: an image without id or name, two of one id, or two of one name.
    """
    names: dict[str, Hashable] = {}
    for key, entry, row in _images(data, where):
        name = row.get("file_name")
        if not isinstance(name, str) or not name or "\0" in name:
            raise SpecError(f"{where}: image {key}: file_name: expected one, got {shown(name)}")
        first = names.setdefault(posixpath.normpath(name), key)
        if first != key:
            raise SpecError(
                f"{where}: images {first} and {key} are the same file, {name}: its labels would be "
                f"split between them; join them under one id"
            )
        yield entry | {"file_name": name}, row


def _images(data: Entry, where: str) -> Iterator[tuple[Hashable, Entry, Entry]]:
    """Id as it is written, checked entry, and the entry itself of each image."""
    found = list(rows(data, "images", where))
    keys = [identity(row.get("id"), f"{at}: id") for at, row in found]
    if twice := [key for key, count in Counter(keys).items() if count > 1]:
        raise SpecError(f"{where}: images: id {twice[0]!r} occurs twice; ids must be unique")
    for key, number_, (at, row) in zip(keys, _numbers(keys), found, strict=True):
        sides = {side: _side(row.get(side), f"{at} (image {key}): {side}") for side in SIDES}
        yield key, {"id": number_} | {k: v for k, v in sides.items() if v}, row


def _numbers(keys: Iterable[Hashable]) -> list[int]:
    """The ids as whole numbers: as they are, or if one is a name the places in the list."""
    keys = list(keys)
    numbers = [key for key in keys if isinstance(key, int) and abs(key) < 2**62]
    return numbers if len(numbers) == len(keys) else list(range(1, len(keys) + 1))


def _side(value: object, where: str) -> int:
    """Pixels, 0 if they are not said: tools write null, 0 or -1 then."""
    found = 0 if value is None else number(value, where)
    if found % 1:
        raise SpecError(f"{where}: expected whole pixels, got {shown(value)}")
    return max(0, int(found))


def _categories(
    data: Entry, where: str
) -> tuple[dict[Hashable, int], tuple[Entry, ...], list[str]]:
    """Numbers of the classes by the ids as they are written, the classes, what was joined."""
    names: dict[Hashable, str] = {}
    for at, row in rows(data, "categories", where):
        key, name = identity(row.get("id"), f"{at}: id"), row.get("name")
        if not isinstance(name, str) or names.setdefault(key, name) != name:
            raise SpecError(f"{at}: name: expected one name of id {key}, got {shown(name)}")
    numbers = dict(zip(names, _numbers(names), strict=True))
    classes: dict[str, Hashable] = {}
    of_category, notes = {}, []
    for key, name in names.items():
        first = classes.setdefault(coco_name(name), key)
        of_category[key] = numbers[first]
        if first != key:
            both = f"{first} ({names[first]}) and {key} ({name})"
            notes.append(f"{where}: categories {both} are one class: their labels are joined")
    notes += (f"{where}: {line}" for line in _alike(classes))
    entries = tuple({"id": numbers[key], "name": names[key]} for key in classes.values())
    return of_category, entries, notes


def _alike(names: Iterable[str]) -> Iterator[str]:
    """A sentence on each pair of classes outside COCO whose names are nearly alike."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(letters(name), name)
        if first != name:
            both = f"{first!r} and {name!r}"
            yield f"categories {both} count as two classes; if they are one, use one name"


def index(truth: Truth) -> Any:
    """pycocotools' index of the labels; silent.

    Raises:
        MissingExtra: if pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise MissingExtra("pycocotools", "eval") from error
    found = COCO()
    found.dataset = {key: list(getattr(truth, key)) for key in KEYS} | {"info": {}}
    with contextlib.redirect_stdout(io.StringIO()):
        found.createIndex()
    return found
