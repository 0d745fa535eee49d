"""An evaluation on a clip: every codec codes all of it, and a detector looks at each frame."""

import gzip
import hashlib
import json
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.dataset import DataSet
from vcm.device import device_of
from vcm.errors import SpecError
from vcm.evaluate.evaluated import Evaluated
from vcm.evaluate.expected import uncompressed
from vcm.evaluate.footage import Footage, footage
from vcm.evaluate.measure import blamed
from vcm.evaluate.modes import Defaults
from vcm.evaluate.moving import MovingCodec, build, check
from vcm.evaluate.plan import TRUTH, Plan
from vcm.evaluate.quality import Judge
from vcm.evaluate.record import AtSetting, ByCodec, Record, packed, unpacked
from vcm.evaluate.result import Say, reference_of, result, silent
from vcm.files import make_folder, write_atomic
from vcm.metrics import tracks
from vcm.models import check_name, load_model
from vcm.roi import backend_for
from vcm.roi.base import Backend, networks
from vcm.roi.mask import RoiMask
from vcm.video import Frame
from vcm.video.follow import Following, Masked, follow
from vcm.vision.base import Detector

Track = Callable[[Iterable[Any], int | None, str], Iterator[Any]]


__all__ = ["check_clip", "data_of", "evaluated_clip", "footage"]


class _Mask(NamedTuple):
    """The mask of a frame, packed into bits."""

    bits: NDArray[np.uint8]
    source: str
    share: float


def data_of(path: Path) -> DataSet:
    """A clip as a data set: its frames have no labels."""
    note = (
        "frames of a clip are alike: intervals are over its seconds, if there are 8 or more, and "
        "MOTA and IDF1 have none; "
        "bytes are those of the whole file for ours, without the container for standard codecs"
    )
    return DataSet(path.name, path, (), None, None, notes=(note,))


def unseen_frames(items: Iterable[Any], length: int | None, label: str) -> Iterator[Any]:
    """The same frames, without any display of progress."""
    return iter(items)


def check_clip(plan: Plan) -> None:
    """Refuse, before any work, plans that cannot be evaluated on a clip.

    Raises:
        SpecError: if a codec is not known or given twice, or the ROI is to be the true masks.
        MetricError: if the reference is not one of the codecs.
        MissingExtra: if a package is not installed.
    """
    check_name(plan.model)
    device_of(plan.device)
    if not plan.codecs or len(set(plan.codecs)) < len(plan.codecs):
        raise SpecError(f"codecs: expected different codecs, got {','.join(plan.codecs)!r}")
    for text in plan.codecs:
        check(text)
    if plan.roi == TRUTH:
        raise SpecError("clips have no true masks: the ROI comes from words")
    reference_of(plan.codecs, plan.reference)
    tracks.library()


def evaluated_clip(
    plan: Plan, folder: Path, say: Say = silent, track: Track = unseen_frames
) -> Evaluated:
    """Scores, curves and BD-rates on the frames of the plan's footage, as `evaluated` on photos.

    The model's detections on the source, and the tracks in them, are the truth. What was measured
    of a codec at a setting is kept in the folder, so the same call resumes where one stopped.

    Args:
        track: passes frames on and shows progress.

    Raises:
        VcmError: as `check_clip`, or if a codec fails.
    """
    check_clip(plan)
    study = _Study(plan, make_folder(folder / "frames"), track)
    say(f"ROI: {plan.task.text} by {' + '.join(study.networks)}")
    records = study.records()
    for metric, score in uncompressed(plan, study.model, records).values.items():
        say(f"uncompressed {metric} {score[0]:.1f}")
    for text, codec in study.codecs.items():
        records = study.coded(text, codec, records)
    kbps = f"a bit per pixel is {study.kbps:.0f} kilobits a second"
    plan = replace(plan, notes=(*plan.data.notes, kbps))
    report = result(plan, study.model, study.codecs, study.networks, records, say)
    return Evaluated(report, records, None)


class _Study:
    """The models, codecs and masks of a plan, and the measuring with them."""

    def __init__(self, plan: Plan, folder: Path, track: Track):
        assert plan.footage is not None
        self._plan, self._folder, self._track = plan, folder, track
        self._footage: Footage = plan.footage
        model = load_model(plan.model, plan.device)
        if model.kind == "semantic":
            raise SpecError(f"{plan.model}: clips need a detector, not a segmenter of classes")
        self.model: Detector = model  # type: ignore[assignment]
        defaults = Defaults(plan.task.sigma, plan.weights, plan.device)
        self.codecs = {text: build(text, defaults) for text in plan.codecs}
        self._backend: Backend = backend_for(plan.task, plan.roi, plan.roi_weights, plan.device)
        self.networks = networks(self._backend, (*plan.task.phrases, *plan.task.exclude))
        self._judge = Judge(plan.perceptual)
        self._masks: list[_Mask] = []
        self._pixels = 0

    @property
    def kbps(self) -> float:
        """Kilobits a second at one bit per pixel."""
        return self._pixels * self._footage.rate / 1000

    def records(self) -> dict[str, Record]:
        """What is known of each frame before it is coded, by its number."""
        clip, plan = self._footage.opened(), self._plan
        way = Following(self._footage.every)
        masked = follow(clip, plan.task, self._backend, way, plan.on_empty)
        records: dict[str, Record] = {}
        self._pixels = clip.height * clip.width
        for frame, mask in self._track(masked, clip.length, "words and detector"):
            self._masks.append(_Mask(np.packbits(mask.roi), mask.source, mask.share))
            with blamed(plan.model):
                found = self.model.detect(frame.image)
            name, seen = f"{frame.number:06}", unpacked(packed(found))  # rounded, as rows are
            records[name] = Record(
                key=plan.key, name=name, stamp="", height=clip.height, width=clip.width,
                said=[], roi_share=mask.share, roi_source=mask.source, original=seen,
            )  # fmt: skip
        if records:
            first = next(iter(records))
            records[first] = replace(records[first], said=list(clip.notes))
        return records

    def coded(self, text: str, codec: MovingCodec, records: dict[str, Record]) -> dict[str, Record]:
        """The records with the results of a codec at each of its settings added."""
        by_setting = {f"{s:g}": self._kept(codec, s) for s in codec.settings}
        return {
            name: replace(record, codecs=record.codecs | {
                text: ByCodec(codec.key, {s: rows[i] for s, rows in by_setting.items()})
            })
            for i, (name, record) in enumerate(records.items())
        }  # fmt: skip

    def _kept(self, codec: MovingCodec, setting: float) -> list[AtSetting]:
        """What was measured before and kept, or else is measured now."""
        key = f"{self._plan.key} {codec.key} {setting:g}"
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json.gz"
        try:
            rows = _rows(json.loads(gzip.decompress(path.read_bytes())))
            if len(rows) == len(self._masks):
                return rows
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
            pass  # there is none yet, or it is damaged
        rows = self._measured(codec, setting)
        told = [{"bytes": r.bytes, "output": packed(r.output), "scores": r.scores} for r in rows]
        write_atomic(path, gzip.compress(json.dumps(told).encode(), 3, mtime=0))
        return _rows(told)  # rounded, as when they are read again

    def _measured(self, codec: MovingCodec, setting: float) -> list[AtSetting]:
        """Code all frames, and run the detector on each."""
        with tempfile.TemporaryDirectory() as folder:
            path, clip = Path(folder) / f"a{codec.suffix}", self._footage.opened()
            with blamed(codec.name):
                sizes = codec.write(self._masked(clip), clip, setting, path)
            pairs = zip(sizes, self._masked(self._footage.opened()), codec.read(path), strict=True)
            label = f"{codec.name} at {setting:g}"
            return [
                AtSetting(size, *self._seen(one, frame))
                for size, one, frame in self._track(pairs, len(sizes), label)
            ]

    def _seen(self, one: Masked, frame: Frame) -> tuple[Any, dict[str, float]]:
        """What the detector finds in a decoded frame, and how close the frame is to its source."""
        height, width = one.frame.image.shape[:2]
        decoded = np.ascontiguousarray(frame.image[:height, :width])
        with blamed(self._plan.model):
            found = self.model.detect(decoded)
        return found, self._judge.scores(one.frame.image, decoded, one.mask.roi)

    def _masked(self, clip: Iterable[Frame]) -> Iterator[Masked]:
        """The frames with their masks, which are the same for all codecs."""
        sigma = self._plan.task.sigma
        for frame, mask in zip(clip, self._masks, strict=True):
            shape = frame.image.shape[:2]
            roi = np.unpackbits(mask.bits, count=shape[0] * shape[1]).reshape(shape).view(np.bool_)
            yield Masked(frame, RoiMask(roi, sigma, mask.source))


def _rows(told: list[dict[str, Any]]) -> list[AtSetting]:
    """From a kept file, one for each frame."""
    return [AtSetting(r["bytes"], unpacked(r["output"]), r["scores"]) for r in told]
