"""One picture of an evaluation: coded by every codec at every setting, and looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.dataset import VOC, DataSet, coco
from vcm.errors import ModelError, SpecError, VcmError, WorkerError
from vcm.evaluate.codecs import Image, RatedCodec, build
from vcm.evaluate.plan import TRUTH, Plan
from vcm.evaluate.store import Store
from vcm.metrics import learned
from vcm.metrics.detection import categories, has_masks
from vcm.metrics.distortion import psnr
from vcm.metrics.perceptual import SIDE_MIN, ms_ssim_in
from vcm.metrics.segmentation import confusion, relabelled
from vcm.models import load_model
from vcm.pipeline import find_roi
from vcm.roi import backend_for
from vcm.roi.acquire import unwarned
from vcm.roi.mask import RoiMask, valued
from vcm.scale.sources import File, Source, read
from vcm.scale.tars import Member
from vcm.vision.base import Detector, Objects, Segmenter
from vcm.vision.names import coco_name

Record = dict[str, Any]
Roi = NDArray[np.bool_]
Labels = NDArray[np.uint8]
SIMILARITIES: Final = ("MS-SSIM", "ROI-MS-SSIM", "background MS-SSIM")
ARRAYS: Final[dict[str, type[np.generic]]] = {
    "boxes": np.float32, "scores": np.float32, "labels": np.int32, "confusion": np.int64
}  # fmt: skip
CAP: Final = 100.0  # dB; of equal pictures, so that a mean stays a number


class Measurer:
    """Codecs, task model and words-to-mask backend of a plan, loaded once.

    Raises:
        VcmError: if one of them cannot be loaded.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.model = load_model(plan.model)
        self.codecs = {text: build(text, plan.task.sigma, plan.weights) for text in plan.codecs}
        self._store = Store(plan.cache)
        self.find_roi = _roi_finder(plan)
        self._perceptual = {name: learned.load(name) for name in plan.perceptual}

    def record(self, photo: Source, earlier: Record | None) -> Record:
        """Everything that is measured on one picture.

        What an earlier record of the same plan holds is not measured again. A codec that fails
        leaves its error in the place of its rows.

        Raises:
            ImageError: if the picture cannot be read.
        """
        if earlier and all(is_done(earlier, t, c) for t, c in self.codecs.items()):
            return earlier
        picture = read(photo)
        with blamed(f"ROI by {self.plan.roi}"):
            roi = self.find_roi(photo, picture)
        itself = self._itself(picture)
        record = earlier or {
            "key": self.plan.key,
            "name": photo.name,
            "stamp": stamp(photo, self.plan.data),
            "height": picture.shape[0],
            "width": picture.shape[1],
            "roi_share": roi.share,
            "roi_source": roi.source,
            "original": self._seen(photo, picture, itself),
            "codecs": {},
        }
        for text, codec in self.codecs.items():
            if not is_done(record, text, codec):
                record["codecs"][text] = self._rows(text, photo, picture, roi.roi, itself)
        return record

    def try_codecs(self) -> None:
        """Code a small picture by every codec at every setting: what cannot work is known first.

        Raises:
            VcmError: by the first codec that fails.
        """
        ramp = np.linspace(0, 255, 64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)
        roi = np.zeros((64, 64), np.bool_)
        roi[16:48, 16:48] = True
        for codec in self.codecs.values():
            for setting in codec.settings:
                with blamed(codec.name):
                    codec.decode(codec.encode(ramp, roi, setting), 64, 64)

    def coded(self, text: str, picture: Image, roi: Roi, setting: float) -> tuple[bytes, Image]:
        """The file of a picture by one of the codecs, and what it decodes to."""
        codec = self.codecs[text]
        with blamed(codec.name):
            data = self._store.encoded(codec, picture, roi, setting)
            return data, codec.decode(data, *picture.shape[:2])

    def _rows(
        self, text: str, photo: Source, picture: Image, roi: Roi, itself: Labels | None
    ) -> Record:
        codec = self.codecs[text]
        rows: Record = {"key": codec.key, "settings": {}}
        for setting in codec.settings:
            try:
                data, decoded = self.coded(text, picture, roi, setting)
            except VcmError as error:
                return rows | {"error": f"{codec.name} at {setting:g}: {error}"}
            row = {"bytes": len(data), "output": self._seen(photo, decoded, itself)}
            rows["settings"][f"{setting:g}"] = row | self._quality(picture, decoded, roi)
        return rows

    def _quality(self, picture: Image, decoded: Image, roi: Roi) -> dict[str, float]:
        places = {"PSNR": None, "ROI-PSNR": roi, "background PSNR": ~roi}
        scores = {k: min(psnr(picture, decoded, where), CAP) for k, where in places.items()}
        if min(picture.shape[:2]) >= SIDE_MIN:
            values = ms_ssim_in(picture, decoded, (np.ones_like(roi), roi, ~roi))
            scores |= dict(zip(SIMILARITIES, values, strict=True))
        if min(picture.shape[:2]) >= learned.SIDE_MIN:
            scores |= {k.upper(): d(picture, decoded) for k, d in self._perceptual.items()}
        return {k: v for k, v in scores.items() if np.isfinite(v)}

    def _itself(self, original: Image) -> Labels | None:
        """What a segmenter says of the original, if labels are wanting; None else."""
        if self.model.kind != "semantic" or self.plan.data.masks is not None:
            return None
        model: Segmenter = self.model  # type: ignore[assignment]
        with blamed(self.plan.model):
            return model.segment(original)

    def _seen(self, photo: Source, picture: Image, itself: Labels | None) -> Record:
        """What the task model makes of a picture: objects, or a confusion with what is true."""
        if self.model.kind == "semantic":
            return self._confusion(photo, picture, itself)
        model: Detector = self.model  # type: ignore[assignment]
        with blamed(self.plan.model):
            return packed(model.detect(picture))

    def _confusion(self, photo: Source, picture: Image, itself: Labels | None) -> Record:
        """Pixels by true and seen class, as [true, seen, count] triples."""
        model: Segmenter = self.model  # type: ignore[assignment]
        with blamed(self.plan.model):
            seen = model.segment(picture)
        if itself is not None:
            names, true = model.names, itself
        else:
            names, true = VOC, self.plan.data.labels(photo)
            seen = relabelled(seen, model.names, VOC)
        counts = confusion(true, seen, len(names))
        pairs = np.argwhere(counts).tolist()
        return {"confusion": [[*pair, int(counts[tuple(pair)])] for pair in pairs]}


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """What a codec or a model raises, as an error of one picture: it must not stop the others."""
    try:
        yield
    except (VcmError, MemoryError):
        raise
    except Exception as error:
        if "memory" in str(error):  # as torch says it
            raise
        raise WorkerError(f"{what}: {type(error).__name__}: {error}") from error


def stamp(photo: Source, data: DataSet) -> str:
    """Sizes and times of a picture's files: whether they are still those that were measured.

    Of pictures of the hub nothing is known but their names.
    """
    if isinstance(photo, Member):
        return f"{photo.shard.stat().st_mtime_ns} {photo.offset} {photo.size}"
    if not isinstance(photo, File):
        return ""
    masks = [] if data.masks is None else [data.masks / f"{photo.path.stem}.png"]
    stats = [path.stat() for path in (photo.path, *masks) if path.is_file()]
    return " ".join(f"{s.st_size} {s.st_mtime_ns}" for s in stats)


def is_done(record: Record, text: str, codec: RatedCodec) -> bool:
    """Whether the record holds what this codec would give; what failed is tried again."""
    rows = record["codecs"].get(text, {})
    settings = [f"{s:g}" for s in codec.settings]
    return rows.get("key") == codec.key and list(rows["settings"]) == settings


def packed(found: Objects) -> Record:
    """Objects as JSON has them; a thousandth of a pixel is exact enough."""
    record: Record = {
        "boxes": [[round(v, 3) for v in box] for box in found.boxes.tolist()],
        "scores": [round(v, 6) for v in found.scores.tolist()],
        "labels": found.labels.tolist(),
    }
    return record | ({} if found.masks is None else {"masks": found.masks})


def unpacked(record: Record) -> Objects:
    """Objects of a record."""
    return Objects(
        np.array(record["boxes"], np.float32).reshape(-1, 4),
        np.array(record["scores"], np.float32),
        np.array(record["labels"], np.int64),
        record.get("masks"),
    )


def lean(record: Record) -> Record:
    """The same record, its long lists as arrays: a seventh of the memory. JSON cannot hold it."""
    rows = (row for rows in record["codecs"].values() for row in rows["settings"].values())
    for output in (record["original"], *(row["output"] for row in rows)):
        output |= {k: np.array(output[k], kind) for k, kind in ARRAYS.items() if k in output}
    return record


def _roi_finder(plan: Plan) -> Callable[[Source, Image], RoiMask]:
    """What gives the ROI of a photo: a function of the photo and its pixels."""
    task = plan.task
    if plan.roi == TRUTH:
        _known(plan.data)  # refuses what cannot be, before any work
        return lambda photo, picture: true_roi(plan, photo, picture)
    backend = backend_for(task, plan.roi, plan.roi_weights)

    def find(photo: Source, picture: Image) -> RoiMask:
        with unwarned():  # where nothing is found is in the record, and counted in the result
            return find_roi(picture, task, backend, plan.on_empty)

    return find


def true_roi(plan: Plan, photo: Source, picture: Image) -> RoiMask:
    """The union of what people drew of the task's classes, without those that it excludes.

    Raises:
        SpecError: if the data have no masks, the task's words are not its classes, or they show
            nothing and that is an error.
    """
    task = plan.task
    wanted = {coco_name(name) for name in task.classes or task.phrases}
    without = {coco_name(name) for name in task.exclude}
    if unknown := sorted((wanted | without) - _known(plan.data)):
        raise SpecError(
            f"--roi truth: nobody drew {', '.join(unknown)} on {plan.data.name}; it has "
            f"{', '.join(sorted(_known(plan.data)))}"
        )
    roi = _drawn(plan.data, photo, wanted, picture) & ~_drawn(plan.data, photo, without, picture)
    source = f"true masks of {', '.join(sorted(wanted)[:5])}"
    with unwarned():
        return valued(roi, task.sigma, source, plan.on_empty, f"{photo.name}: no {source}")


def _known(data: DataSet) -> set[str]:
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


def available(names: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The perceptual metrics that can be loaded here, and a line for each that cannot."""
    usable, lines = [], []
    for name in names:
        try:
            learned.load(name)
            usable.append(name)
        except (ModelError, VcmError) as error:
            lines.append(f"{name.upper()}: {error}")
    return tuple(usable), lines
