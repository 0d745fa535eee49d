"""One picture of an evaluation: coded by every codec at every setting, and looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vcm import image
from vcm.dataset import VOC
from vcm.errors import VcmError, WorkerError
from vcm.evaluate.codecs import build
from vcm.evaluate.plan import TRUTH, Plan
from vcm.evaluate.quality import Judge
from vcm.evaluate.rated import Image
from vcm.evaluate.record import AtSetting, ByCodec, Confusion, Record, Seen, stamp
from vcm.evaluate.store import Store
from vcm.evaluate.truth import check_mask, check_photo, known, true_roi
from vcm.metrics.segmentation import confusion, relabelled
from vcm.models import load_model
from vcm.pipeline import find_roi
from vcm.roi import backend_for
from vcm.roi.acquire import unwarned
from vcm.roi.base import networks
from vcm.roi.mask import RoiMask
from vcm.scale.sources import Source, read
from vcm.vision.base import Detector, Segmenter

Labels = NDArray[np.uint8]


class Measurer:
    """Codecs, task model and words-to-mask backend of a plan, loaded once.

    Attributes:
        networks: the names of those that look for the words, or "truth".

    Raises:
        VcmError: if one of them cannot be loaded.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.model = load_model(plan.model, plan.device)
        ours = plan.task.sigma, plan.weights, plan.device
        self.codecs = {text: build(text, *ours) for text in plan.codecs}
        self._store = Store(plan.cache)
        self.networks, self.find_roi = _roi_finder(plan)
        self._judge = Judge(plan.perceptual)

    def record(self, photo: Source, earlier: Record | None) -> Record:
        """Everything that is measured on one picture.

        What an earlier record of the same plan holds is not measured again. A codec that fails
        leaves its error in the place of its rows.

        Raises:
            ImageError: if the picture cannot be read.
            SpecError: if its labels do not fit it.
        """
        if earlier and all(earlier.is_done(t, c) for t, c in self.codecs.items()):
            return earlier
        with image.told() as said:
            picture = read(photo, self.plan.reading)
        said += self._odd(photo, picture)
        with blamed(f"ROI by {self.plan.roi}"):
            roi = self.find_roi(photo, picture)
        itself = self._itself(picture)
        record = earlier or Record(
            key=self.plan.key,
            name=photo.name,
            stamp=stamp(photo, self.plan.data),
            height=picture.shape[0],
            width=picture.shape[1],
            said=said,
            roi_share=roi.share,
            roi_source=roi.source,
            original=self._seen(photo, picture, itself),
        )
        new = {
            text: self._rows(text, photo, picture, roi, itself)
            for text, codec in self.codecs.items()
            if not record.is_done(text, codec)
        }
        return replace(record, codecs=record.codecs | new)

    def _odd(self, photo: Source, picture: Image) -> list[str]:
        """What is odd about the labels of a photo; raises SpecError if they do not fit it."""
        plan, data = self.plan, self.plan.data
        by_mask = data.masks is not None and (self.model.kind == "semantic" or plan.roi == TRUTH)
        checks = [check_photo] * (data.annotations is not None) + [check_mask] * by_mask
        if not checks:
            return []
        way = image.way_up(photo.load(), photo.where) if plan.reading.upright else 1
        said = (line for check in checks for line in check(data, photo, picture, way))
        return list(dict.fromkeys(said))

    def try_codecs(self) -> None:
        """Code a small picture by every codec at every setting: what cannot work is known first.

        Raises:
            VcmError: by the first codec that fails.
        """
        ramp = np.linspace(0, 255, 64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)
        middle = np.zeros((64, 64), np.bool_)
        middle[16:48, 16:48] = True
        mask = RoiMask(middle, self.plan.task.sigma, "the middle")
        for codec in self.codecs.values():
            for setting in codec.settings:
                with blamed(codec.name):
                    codec.decode(codec.encode(ramp, mask, setting), 64, 64)

    def coded(
        self, text: str, picture: Image, mask: RoiMask, setting: float
    ) -> tuple[bytes, Image]:
        """The file of a picture by one of the codecs, and what it decodes to."""
        codec = self.codecs[text]
        with blamed(codec.name):
            data = self._store.encoded(codec, picture, mask, setting)
            return data, codec.decode(data, *picture.shape[:2])

    def _rows(
        self, text: str, photo: Source, picture: Image, mask: RoiMask, itself: Labels | None
    ) -> ByCodec:
        codec = self.codecs[text]
        rows = ByCodec(codec.key)
        for setting in codec.settings:
            try:
                data, decoded = self.coded(text, picture, mask, setting)
            except VcmError as error:
                return replace(rows, error=f"{codec.name} at {setting:g}: {error}")
            seen = self._seen(photo, decoded, itself)
            scores = self._judge.scores(picture, decoded, mask.roi)
            clipped = codec.clipped(picture, mask, setting)
            rows.settings[f"{setting:g}"] = AtSetting(len(data), seen, scores, clipped)
        return rows

    def _itself(self, original: Image) -> Labels | None:
        """What a segmenter says of the original, if labels are wanting; None else."""
        if self.model.kind != "semantic" or self.plan.data.masks is not None:
            return None
        model: Segmenter = self.model  # type: ignore[assignment]
        with blamed(self.plan.model):
            return model.segment(original)

    def _seen(self, photo: Source, picture: Image, itself: Labels | None) -> Seen:
        """What the task model makes of a picture: objects, or a confusion with what is true."""
        if self.model.kind == "semantic":
            return self._confusion(photo, picture, itself)
        model: Detector = self.model  # type: ignore[assignment]
        with blamed(self.plan.model):
            return model.detect(picture)

    def _confusion(self, photo: Source, picture: Image, itself: Labels | None) -> Confusion:
        """Pixels by true and seen class."""
        model: Segmenter = self.model  # type: ignore[assignment]
        with blamed(self.plan.model):
            seen = model.segment(picture)
        if itself is not None:
            names, true = model.names, itself
        else:
            names, true = VOC, self.plan.data.labels(photo)
            seen = relabelled(seen, model.names, VOC)
        counts = confusion(true, seen, len(names))
        pairs = np.argwhere(counts)
        return Confusion(np.column_stack([pairs, counts[tuple(pairs.T)]]))


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


def _roi_finder(plan: Plan) -> tuple[tuple[str, ...], Callable[[Source, Image], RoiMask]]:
    """The networks that look for the words, and a function of a photo and its pixels: the ROI."""
    task = plan.task
    if plan.roi == TRUTH:
        known(plan.data)  # refuses what cannot be, before any work
        return (TRUTH,), lambda photo, picture: true_roi(plan, photo, picture)
    backend = backend_for(task, plan.roi, plan.roi_weights, plan.device)

    def find(photo: Source, picture: Image) -> RoiMask:
        with unwarned():  # where nothing is found is in the record, and counted in the result
            return find_roi(picture, task, backend, plan.on_empty)

    return networks(backend, (*task.phrases, *task.exclude)), find
