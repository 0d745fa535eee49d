"""The photos that the words-to-mask network learns from, each with its label planes."""

import json
import logging
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.files import write_atomic
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_labels import (
    IGNORE,
    NONE,
    SURE,
    Box,
    Planes,
    with_boxes,
    with_hint,
    with_nyu,
    with_voc,
)
from vcm.train.roi_teacher import read, seen_by, write

_log = logging.getLogger(__name__)
FRAME: Final = (slice(44, 470), slice(40, 600))  # of NYUv2's photos, inside their white border
APART: Final = 20  # one photo in this many is held out
WHITE, FLAT = 0.35, 0.6  # share of white or flat pixels above which a photo is cut out or drawn
STREETS: Final = ("CamVid", "Object-Localization", "Sports-Type")  # sets without indoor photos
TELLING: Final = ("krish212", "EliSchwartz", "MachineLearning2020")  # sets with folders per class
# How often a photo of a set is drawn, relative to others (1): more if the set has masks by people
# or its photos vary, less if many show the same thing, as frames of videos do.
WEIGHTS: Final = {
    "krish212": 1.0, "MiguelARD": 1.5, "EliSchwartz": 1.5, "markshih91": 1.0, "emanhamed": 0.7,
    "jurjsorinliviu": 0.7, "MachineLearning2020": 0.5, "alexgkendall": 0.5, "chanjianliu": 0.5,
    "bhuminChodvadiya": 0.25,
}  # fmt: skip
DRAWN: Final = 4.0  # the weight of a photo with a VOC mask
# Classes of folder names that are not words of the vocabulary; "": none.
FOLDERS: Final = {
    "cellphone": "cell phone", "stop_sign": "stop sign", "airplanes": "airplane", "ferry": "boat",
    "schooner": "boat", "ketch": "boat", "computer": "", "watch": "",
}  # fmt: skip


class LabelledPhoto(NamedTuple):
    """A photo and what is known about it.

    Attributes:
        path: of the picture.
        labels: path of its label planes, a PNG.
        rooms: whether it may show classes of rooms (lamps, doors ...) without labels.
        framed: whether it has NYUv2's white border.
        classes: share of its pixels that show each class, by label.
        weight: how often it is drawn, relative to others.
    """

    path: Path
    labels: Path
    rooms: bool
    framed: bool
    classes: dict[int, float]
    weight: float = 1.0

    def load(self) -> tuple[NDArray[np.uint8], Planes]:
        """Pixels (H, W, 3) uint8 RGB and planes (H/2, W/2, 4) uint8."""
        pixels = image.read(self.path)
        planes = read(self.labels)
        return (pixels[FRAME] if self.framed else pixels), planes


def gather(photos: Path, voc_masks: Path, more: Path | None, folder: Path) -> list[LabelledPhoto]:
    """All photos that are fit to learn from; missing label planes are written.

    Broken ones are named in the log.

    Args:
        more: the folder "words" that `data/more.py` makes; None: only `photos`.
        folder: holds "teacher", see `teach`; "labels" and "index.json" are written to it.

    Raises:
        SpecError: if no photo can be learnt from.
    """
    target, index = folder / "labels", folder / "index.json"
    target.mkdir(parents=True, exist_ok=True)
    known: dict[str, Any] = json.loads(index.read_text()) if index.is_file() else {}
    found = []
    for path, label in _sources(photos, voc_masks, more):
        if path.name not in known:
            try:
                labelled = label.make(path, folder / "teacher", target / f"{path.stem}.png")
            except ImageError as error:
                _log.warning("left out: %s", error)
                labelled = None
            known[path.name] = labelled
        if known[path.name] is not None:
            classes = {int(k): v for k, v in known[path.name].items()}
            labels = target / f"{path.stem}.png"
            framed = label.nyu is not None
            found.append(LabelledPhoto(path, labels, label.rooms, framed, classes, label.weight))
    write_atomic(index, json.dumps(known).encode())
    if not found:
        raise SpecError(f"{photos}: no photo that can be learnt from")
    return found


def kept_apart(photos: Sequence[LabelledPhoto]) -> set[Path]:
    """The held-out photos: a fixed choice, without frames of videos."""
    stills = [p.path for p in photos if "CamVid" not in p.path.name]
    return {path for path in stills if zlib.crc32(path.name.encode()) % APART == 0}


class _Labelling(NamedTuple):
    """What people labelled in a photo."""

    voc: Path | None = None
    nyu: Path | None = None
    boxes: tuple[Box, ...] = ()
    hint: str = ""
    rooms: bool = True
    weight: float = 1.0

    def make(self, path: Path, teacher: Path, target: Path) -> dict[int, float] | None:
        """Write the planes and return the share of each class; None if the photo is unfit."""
        pixels = image.read(path)
        if unfit(pixels[FRAME] if self.nyu else pixels):
            return None
        planes = read(seen_by(teacher, path))
        if self.nyu:
            rows, columns = (slice(s.start // 2, s.stop // 2) for s in FRAME)
            planes = with_nyu(planes[rows, columns], _read(self.nyu)[FRAME])
        if self.voc:
            planes = with_voc(planes, _read(self.voc))
        if self.boxes:
            planes = with_boxes(planes, self.boxes)
        if self.hint:
            planes = with_hint(planes, self.hint)
        write(target, planes)
        seen = planes[planes[..., 1] >= SURE, 0]
        values, counts = np.unique(seen[(seen != NONE) & (seen != IGNORE)], return_counts=True)
        shares = (counts / planes[..., 0].size).tolist()
        return dict(zip(values.tolist(), shares, strict=True))


def unfit(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture is drawn or cut out on white."""
    white = (pixels.min(2) > 245).mean()
    flat = (np.abs(np.diff(pixels.astype(np.int16), axis=1)).max(2) == 0).mean()
    return bool(white > WHITE or flat > FLAT)


def _sources(photos: Path, voc_masks: Path, more: Path | None) -> Iterator[tuple[Path, _Labelling]]:
    for path in image.folder(photos):
        voc = voc_masks / f"{path.stem}.png"
        drawn = voc.is_file()
        weight = DRAWN if drawn else 1.0
        yield path, _Labelling(voc=voc if drawn else None, rooms=drawn, weight=weight)
    if more is None:
        return
    sources = json.loads((more / "sources.json").read_text())["photos"]
    boxes = _boxes(more / "boxes.json")
    for path in image.folder(more / "images"):
        source = sources[path.name]
        nyu = more / "nyu_masks" / f"{path.stem}.png"
        yield (
            path,
            _Labelling(
                nyu=nyu if nyu.is_file() else None,
                boxes=boxes.get(path.name, ()),
                hint=hinted(source["hint"]) if source["repository"].startswith(TELLING) else "",
                rooms=not any(name in source["path"] + source["repository"] for name in STREETS),
                weight=WEIGHTS.get(source["repository"].split("/")[0], 1.0),
            ),
        )


def hinted(folder: str) -> str:
    """The COCO class that a folder's name stands for, or ""."""
    name = FOLDERS.get(folder, folder.replace("_", " "))
    cover = vocabulary().meaning.get(name.lower(), ())
    return (
        vocabulary().coco[cover[0]] if len(cover) == 1 and cover[0] < len(vocabulary().coco) else ""
    )


def _boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    """People's boxes by file name, from a COCO file."""
    data = json.loads(path.read_text())
    names = {c["id"]: c["name"] for c in data["categories"]}
    files = {i["id"]: i["file_name"] for i in data["images"]}
    found: dict[str, tuple[Box, ...]] = {}
    for a in data["annotations"]:
        box: Box = (names[a["category_id"]], tuple(a["bbox"]))
        found[files[a["image_id"]]] = (*found.get(files[a["image_id"]], ()), box)
    return found


def _read(path: Path) -> NDArray[np.uint8]:
    with pillow.open(path) as picture:
        return np.asarray(picture)
