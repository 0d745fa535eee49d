"""Pictures and what people say is on them: COCO files, folders of class masks, plain photos."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from vcm import image
from vcm.coco import places
from vcm.coco.truth import checked, files, index, read
from vcm.coco.values import parse
from vcm.errors import SpecError
from vcm.scale.hub import HUB, HubPictures
from vcm.scale.sources import File, Source, inner
from vcm.scale.tars import SHARD, ShardSource
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
        notes: a sentence each on what could not be read of it.
    """

    name: str
    folder: Path
    photos: tuple[Source, ...]
    annotations: Path | None
    masks: Path | None
    only: str | None = None
    part: bool = False
    notes: tuple[str, ...] = ()

    def mask_of(self, photo: Source) -> Path | None:
        """Where the class mask of a photo lies: in the same folders as the photo, or in none."""
        if self.masks is None:
            return None
        path = PurePosixPath(*inner(PurePosixPath(photo.name))).with_suffix(".png")
        return nested if (nested := self.masks / path).is_file() else self.masks / path.name

    def labels(self, photo: Source) -> NDArray[np.uint8]:
        """VOC class of each pixel: (H, W) uint8, 255 where it is not known.

        Raises:
            SpecError: if the set has no class masks, or none for this photo that can be read.
        """
        path = self.mask_of(photo)
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


def load(path: str | Path, only: str | None = None, images: Path | None = None) -> DataSet:
    """The set in a folder, in tar shards or on the hub, or the one that a COCO file describes.

    A folder is read as it is: a COCO file beside `images/` or in `annotations/`, with
    `voc_class_masks/` if there; else every picture in it, without ground truth.

    Args:
        only: "field=value" of the image entries of a COCO file: a part of the set.
        images: where the pictures of a COCO file are; None: see `vcm.coco.places`.

    Raises:
        SpecError: if the file is not COCO's, or `only` fits nothing; if none of its pictures is
            there, or two of them are one file or share a class mask.
        ImageError: if there is no picture.
    """
    path = str(path) if _is_stream(str(path)) else Path(path)
    annotations = _annotations(path) if isinstance(path, Path) else None
    if annotations is None and (only or images):
        raise SpecError(
            f"{path} has no COCO file; only its pictures can be chosen or lie elsewhere"
        )
    if isinstance(path, str):
        name = PurePosixPath(path.removeprefix(HUB)).stem
        sources = pictures(path)
        data = DataSet(name, Path(path), tuple(sources), None, None)
        return replace(data, notes=_notes(sources)) if isinstance(sources, ShardSource) else data
    if annotations is not None:
        folder = annotations.parent
        photos = _listed(annotations, only, images)
        return _apart(DataSet(_name(folder), folder, photos, annotations, _masks(folder), only))
    inside = path / "images"
    has = inside.is_dir()
    folder = inside if has else path
    photos = tuple(File(p.name, p) for p in image.folder(folder))
    left = image.left_out(folder)
    notes = (f"left out: {image.summed(left)}",) if left else ()
    masks = _masks(path) if has else None
    return _apart(DataSet(_name(path), path, photos, None, masks, notes=notes))


def _notes(shards: ShardSource) -> tuple[str, ...]:
    left = shards.left_out
    damage = (f"{path}: {why}" for path, why in shards.damaged.items())
    return (*damage, *([f"left out: {image.summed(left)}"] if left else []))


def _annotations(path: Path) -> Path | None:
    return path if path.suffix == ".json" else places.labels_of(path)


def _name(folder: Path) -> str:
    """Of a set: of its folder; of "annotations", as COCO has it, that of the one above."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "annotations" else folder.name


def _masks(folder: Path) -> Path | None:
    masks = folder / MASKS
    return masks if masks.is_dir() else None


def _apart(data: DataSet) -> DataSet:
    """The set; raises SpecError if two of its photos share a class mask."""
    owners: dict[Path | None, str] = {None: ""}
    for photo in data.photos if data.masks else ():
        first = owners.setdefault(data.mask_of(photo), photo.name)
        if first != photo.name:
            raise SpecError(
                f"{data.name}: {first} and {photo.name} share the class mask "
                f"{data.mask_of(photo)}; put masks into folders like those of the photos"
            )
    return data


def pictures(path: str | Path) -> Iterable[Source]:
    """The pictures of a folder, a COCO file, tar shards or "hf:NAME"; large sets are not listed.

    Raises:
        SpecError: if there is no such set.
        ImageError: if there is no picture.
        MissingExtra: if it is on the hub and `datasets` is not installed.
    """
    text = str(path)
    if text.startswith(HUB):
        return HubPictures(text)
    return ShardSource(text) if text.endswith(SHARD) else load(path).photos


def left_out(path: Path, sources: Iterable[Source]) -> list[str]:
    """What looks like a picture in a folder or in tar shards that were gone through and is none."""
    if isinstance(sources, ShardSource):
        return sources.left_out
    return image.left_out(path) if path.is_dir() else []


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
        raise SpecError(f"photos: expected 1 or more, got {count}")
    if count >= len(data.photos):
        return data
    places = np.linspace(0, len(data.photos) - 1, count).round().astype(int)
    return replace(data, photos=tuple(data.photos[i] for i in places.tolist()), part=True)


def _listed(path: Path, only: str | None, images: Path | None) -> tuple[Source, ...]:
    """The photos of a COCO file, by their ids."""
    wanted = _condition(only)
    entries = [entry for entry, row in files(parse(path), str(path)) if wanted(row)]
    if not entries:
        raise SpecError(f"{path}: no images{f' with {only}' if only else ''}")
    entries.sort(key=lambda entry: int(entry["id"]))
    names = [str(entry["file_name"]) for entry in entries]
    paths = places.found(names, [images] if images else places.folders(path), str(path))
    places.apart(paths, [entry["id"] for entry in entries], str(path))
    return tuple(
        File(name, where, entry["id"])
        for name, where, entry in zip(names, paths, entries, strict=True)
    )


def _condition(only: str | None) -> Callable[[dict[str, Any]], bool]:
    if only is None:
        return lambda entry: True
    key, equals, value = only.partition("=")
    if not equals:
        raise SpecError(f"a part of a set: expected FIELD=VALUE, got {only!r}")
    return lambda entry: str(entry.get(key)) == value


def coco(source: Path | dict[str, Any]) -> Any:
    """pycocotools' index of a COCO instances file or of what such a file holds; silent.

    Raises:
        MissingExtra: if pycocotools is not installed.
        SpecError: if it is none, see `vcm.coco.truth.checked`.
    """
    truth = read(source) if isinstance(source, Path) else checked(source, "COCO instances")
    return index(truth)
