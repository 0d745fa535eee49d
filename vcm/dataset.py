"""Pictures and what people say is on them: COCO files, folders of class masks, plain photos."""

import contextlib
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from vcm import image
from vcm.errors import MissingExtra, SpecError
from vcm.scale.hub import HUB, Rows
from vcm.scale.sources import File, Source
from vcm.scale.tars import SHARD, Shards
from vcm.vision.deeplab import NAMES as VOC

VOID: Final = 255  # in a class mask: nobody knows
__all__ = ["MASKS", "VOC", "VOID", "DataSet", "coco", "load", "pictures"]
MASKS: Final = "voc_class_masks"  # a folder of PNG files beside "images", labels as in VOC


@dataclass(frozen=True)
class DataSet:
    """Pictures with their ground truth, if there is any.

    Attributes:
        name: for tables; of the folder.
        folder: where it is.
        photos: in a fixed order.
        annotations: a COCO instances file, or None.
        masks: a folder of class masks, or None.
        only: condition that its pictures fulfil, see `load`; None: all of them.
        part: whether others were left out as well.
    """

    name: str
    folder: Path
    photos: tuple[Source, ...]
    annotations: Path | None
    masks: Path | None
    only: str | None = None
    part: bool = False

    def labels(self, photo: Source) -> NDArray[np.uint8]:
        """VOC class of each pixel: (H, W) uint8, 255 where it is not known.

        Raises:
            SpecError: if the set has no class masks, or none for this photo that can be read.
        """
        path = self.masks and self.masks / f"{PurePosixPath(photo.name).stem}.png"
        if path is None or not path.is_file():
            raise SpecError(f"{self.name}: no class mask of {photo.name}; expected {path or MASKS}")
        try:
            with pillow.open(path) as picture:
                labels = np.asarray(picture)
        except Exception as error:  # Pillow's readers raise nearly anything
            raise SpecError(f"{path}: not a class mask that can be read ({error})") from error
        if labels.dtype != np.uint8 or labels.ndim != 2:
            raise SpecError(f"{path}: expected one byte a pixel, got {labels.shape} {labels.dtype}")
        return labels


def load(path: str | Path, only: str | None = None) -> DataSet:
    """The set in a folder, in tar shards or on the hub, or the one that a COCO file describes.

    A folder is read as it is: `instances.json` beside `images/`, with `voc_class_masks/` if there;
    else every picture in it, without ground truth.

    Args:
        only: "field=value" of the image entries of a COCO file: a part of the set.

    Raises:
        SpecError: if the file is not COCO's, or `only` fits nothing.
        ImageError: if there is no picture.
    """
    if _is_stream(str(path)):
        if only is not None:
            raise SpecError(f"--only {only}: {path} has no image entries that could say that")
        name = PurePosixPath(str(path).removeprefix(HUB)).stem
        return DataSet(name, Path(path), tuple(pictures(path)), None, None)
    path = Path(path)
    annotations = path if path.suffix == ".json" else path / "instances.json"
    folder = annotations.parent
    masks = folder / MASKS
    if annotations.is_file():
        photos, name = _listed(annotations, only), folder.resolve().name
        drawn = masks if masks.is_dir() else None
        return DataSet(name, folder, photos, annotations, drawn, only)
    if only is not None:
        raise SpecError(f"--only {only}: {path} has no instances.json whose entries could say that")
    inner = path / "images"
    paths = image.folder(inner if inner.is_dir() else path)
    photos = tuple(File(p.name, p) for p in paths)
    drawn = masks if inner.is_dir() and masks.is_dir() else None
    return DataSet(path.resolve().name, path, photos, None, drawn)


def pictures(path: str | Path) -> Iterable[Source]:
    """The pictures of a folder, a COCO file, tar shards or "hf:NAME"; large sets are not listed.

    Raises:
        SpecError: if there is no such set.
        ImageError: if there is no picture.
        MissingExtra: if it is on the hub and `datasets` is not installed.
    """
    text = str(path)
    if text.startswith(HUB):
        return Rows(text)
    return Shards(text) if text.endswith(SHARD) else load(path).photos


def is_set(path: Path) -> bool:
    """Whether a path stands for many pictures."""
    return _is_stream(str(path)) or path.suffix == ".json" or path.is_dir()


def _is_stream(text: str) -> bool:
    return text.startswith(HUB) or text.endswith(SHARD)


def thinned(data: DataSet, count: int) -> DataSet:
    """So many of its pictures, evenly spaced; all if there are no more.

    Raises:
        SpecError: if count is not positive.
    """
    if count < 1:
        raise SpecError(f"--photos: expected 1 or more, got {count}")
    if count >= len(data.photos):
        return data
    places = np.linspace(0, len(data.photos) - 1, count).round().astype(int)
    return replace(data, photos=tuple(data.photos[i] for i in places.tolist()), part=True)


def _listed(path: Path, only: str | None) -> tuple[Source, ...]:
    """The photos of a COCO file, by their ids."""
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["images"]
        photos = [(File(e["file_name"], _find(path, e["file_name"]), e["id"]), e) for e in entries]
        photos.sort(key=lambda pair: pair[0].id)
    except (ValueError, KeyError, TypeError) as error:
        raise SpecError(f"{path}: not a COCO file of images ({error!r})") from error
    wanted = _condition(only)
    chosen = tuple(photo for photo, entry in photos if wanted(entry))
    if not chosen:
        raise SpecError(f"{path}: no images{f' with {only}' if only else ''}")
    return chosen


def _find(path: Path, name: str) -> Path:
    """Beside the file, in "images" beside it, or as COCO's own archives lie."""
    archive = path.parent.parent / path.stem.removeprefix("instances_")  # such as val2017
    places = (path.parent / "images", path.parent, archive)
    for place in places:
        if (place / name).is_file():
            return place / name
    return places[0] / name


def _condition(only: str | None) -> Callable[[dict[str, Any]], bool]:
    if only is None:
        return lambda entry: True
    key, equals, value = only.partition("=")
    if not equals:
        raise SpecError(f"--only: expected FIELD=VALUE, got {only!r}")
    return lambda entry: str(entry.get(key)) == value


def coco(source: Path | dict[str, Any]) -> Any:
    """pycocotools' index of a COCO file or of what such a file holds; silent.

    Raises:
        MissingExtra: if pycocotools is not installed.
        SpecError: if the file has no annotations, or one of them has no box.
    """
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise MissingExtra("pycocotools", "eval") from error
    data = json.loads(source.read_text(encoding="utf-8")) if isinstance(source, Path) else source
    missing = [key for key in ("images", "annotations", "categories") if key not in data]
    if missing:
        raise SpecError(f"{source}: not a COCO instances file: no {', '.join(missing)}")
    data.setdefault("info", {})  # which pycocotools 2.0.9 and 2.0.10 want
    if any("bbox" not in entry for entry in data["annotations"]):
        raise SpecError("COCO instances: an object without a bbox; give each one, [x, y, w, h]")
    for number, entry in enumerate(data["annotations"], 1):
        # 0 means "unmatched" to pycocotools; not every tool writes the other two
        entry["id"] = number
        entry.setdefault("iscrowd", 0)
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
    index = COCO()
    index.dataset = data
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    return index
