"""From records of pictures to scores, on the set as it is and on resamples of it."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.dataset import VOC, coco
from vcm.errors import MetricError
from vcm.evaluate.agreement import objects, own_truth
from vcm.evaluate.plan import Plan
from vcm.evaluate.record import AtSetting, Confusion, Record, Seen
from vcm.evaluate.truth import labels
from vcm.metrics import tracks
from vcm.metrics.detection import categories, has_masks, matches, scored
from vcm.metrics.segmentation import class_iou, counted, mean_iou
from vcm.metrics.table import METRICS, agreement
from vcm.vision.base import Kind
from vcm.vision.names import BACKGROUND, coco_name

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
QUALITY: Final = tuple(name for name, metric in METRICS.items() if not metric.of_task)


class Scores(NamedTuple):
    """What one codec at one setting (or the uncompressed pictures) scores.

    Attributes:
        values: by metric; (1 + R,): the set as it is, then its resamples.
        classes: AP or IoU of each class, on the set as it is.
    """

    values: dict[str, Floats]
    classes: dict[str, float]


class Point(NamedTuple):
    """One codec at one setting.

    Attributes:
        bits: of each picture's file, (I,).
        has: by metric, which pictures have a score of their own in it: (I,), 0 or 1. Metrics of
            the whole set are not in it.
    """

    setting: float
    bits: Floats
    scores: Scores
    has: dict[str, Floats]


class Scorer:
    """Scores of what a task model saw on the pictures of some records.

    Args:
        kind, names: of the task model.
        weights: (1 + R, I), how often each picture counts.

    Attributes:
        unknown: classes that count and that the task model does not know; their score is 0.

    Raises:
        MetricError: if task model, pictures and ground truth do not go together.
    """

    unknown: tuple[str, ...] = ()

    def __init__(
        self,
        plan: Plan,
        kind: Kind,
        names: Sequence[str],
        records: Sequence[Record],
        weights: Floats,
    ):
        self._names, self._records, self._weights = names, records, weights
        self._classes = plan.task.classes
        photos = {photo.name: photo for photo in plan.data.photos}
        self._labelled = plan.data.annotations is not None
        if kind == "semantic":
            self._score: Callable[[Sequence[Seen]], Scores] = self._semantic
            self._semantic_names, self._counted, self.unknown = _semantic_classes(plan, names)
            self._metric = _named("mIoU", plan.data.masks is not None)
            return
        self._masks = kind == "instances"
        self._score = self._detection
        ids = [photos[r.name].id if self._labelled else i for i, r in enumerate(records)]
        self._ids = ids
        if self._labelled:
            assert plan.data.annotations is not None
            self._truth = coco(plan.data.annotations)
            _check_sizes(self._truth, ids, records)
            self._masks &= has_masks(self._truth)
            known = categories(self._truth, self._classes)
            _check_classes(self._classes, list(categories(self._truth)))
            self.unknown = tuple(name for name in known if name not in map(coco_name, names))
        else:
            self._truth = coco(own_truth(records, names, self._masks))
        self._by_mask = self._masks and plan.task.metric == "mask_AP"
        self._tracks = None if plan.footage is None else self._followed(r.original for r in records)

    def original(self) -> Scores:
        """Of the uncompressed pictures."""
        return self._score([r.original for r in self._records])

    def points(self, codec: str) -> list[Point]:
        """Of each setting of a codec, in ascending order of bits."""
        settings = self._records[0].codecs[codec].settings
        points = [self._point(codec, setting) for setting in settings]
        return sorted(points, key=lambda p: float(p.bits.sum()))

    def _point(self, codec: str, setting: str) -> Point:
        rows = [r.codecs[codec].settings[setting] for r in self._records]
        scores = self._score([row.output for row in rows])
        has = {m: np.array([m in row.scores for row in rows], np.float64) for m in QUALITY}
        has = {m: there for m, there in has.items() if there.any()}
        values = scores.values | {m: self._mean(rows, m, has[m]) for m in has}
        bits = np.array([8.0 * row.bytes for row in rows])
        return Point(float(setting), bits, Scores(values, scores.classes), has)

    def _mean(self, rows: Sequence[AtSetting], metric: str, has: Floats) -> Floats:
        """Mean over the pictures that have the metric: the background of some is empty."""
        values = np.array([row.scores.get(metric, 0.0) for row in rows])
        with np.errstate(invalid="ignore"):  # a resample may hold none of them
            mean: Floats = (self._weights @ values) / (self._weights @ has)
        return mean

    def _detection(self, seen: Sequence[Seen]) -> Scores:
        found = {i: objects(one) for i, one in zip(self._ids, seen, strict=True)}
        values: dict[str, Floats] = {}
        classes: dict[str, float] = {}
        for masks in [False, True] if self._masks else [False]:
            result = matches(self._truth, self._ids, found, self._names, self._classes, masks)
            for name, value in result.scores(self._weights).items():
                values[_named(f"mask_{name}" if masks else name, self._labelled)] = value
            if masks == self._by_mask:
                classes = result.per_class()
        if self._tracks is not None:
            for name, score in tracks.scores(self._tracks, self._followed(seen)).items():
                unknown = np.full(len(self._weights) - 1, np.nan)  # tracks cannot be resampled
                values[_named(name, False)] = np.array([score, *unknown])
        return Scores(values, classes)

    def _followed(self, seen: Iterable[Seen]) -> list[tracks.Followed]:
        """The objects of the task's classes with their tracks, frame by frame."""
        wanted = {coco_name(name) for name in self._classes} or set(self._names)
        labels = [i for i, name in enumerate(self._names) if coco_name(name) in wanted]
        tracker = tracks.Tracker()
        return [tracker(objects(one).of(labels)) for one in seen]

    def _semantic(self, seen: Sequence[Seen]) -> Scores:
        count = len(self._semantic_names)
        confusions = np.stack([_dense(one, count) for one in seen])
        iou = class_iou(confusions, self._weights[:1])[0]
        if np.isnan(iou[self._counted]).all():
            raise MetricError("mIoU: none of the pictures shows a class that is scored")
        named = zip(self._semantic_names, iou.tolist(), strict=True)
        return Scores(
            {self._metric: mean_iou(confusions, self._weights, self._counted)},
            {name: value for name, value in named if np.isfinite(value)},
        )


def check(plan: Plan, kind: Kind, names: Sequence[str]) -> None:
    """Refuse, before any picture is looked at, plans that can have no score.

    Args:
        kind, names: of the task model.

    Raises:
        MetricError: if task model, task and ground truth do not go together.
    """
    if kind == "semantic":
        _semantic_classes(plan, names)
    elif plan.data.annotations is not None:
        truth = labels(plan.data)
        _check_classes(plan.task.classes, list(categories(truth)))
        scored(truth, [photo.id for photo in plan.data.photos], names, plan.task.classes)


def _semantic_classes(
    plan: Plan, names: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.bool_], tuple[str, ...]]:
    """The true classes, which of them count, and those that the segmenter does not know.

    Raises:
        MetricError: if it knows none of those that count.
    """
    true = tuple(names if plan.data.masks is None else VOC)
    among = counted(true, plan.task.classes)
    return true, among, _unknown(true, among, names)


def _check_classes(wanted: Sequence[str], there: Sequence[str]) -> None:
    """Say which classes the ground truth does not have; raise MetricError if it has none."""
    missing = [name for name in wanted if coco_name(name) not in there]
    if not missing:
        return
    said = f"the ground truth has no class {', '.join(missing)}; it has {', '.join(there[:8])}"
    if len(missing) == len(wanted):
        raise MetricError(said)
    _log.warning("%s", said)


def _unknown(
    true: Sequence[str], among: NDArray[np.bool_], names: Sequence[str]
) -> tuple[str, ...]:
    """Classes that count and that a segmenter does not know.

    Raises:
        MetricError: if it knows none of them but the background.
    """
    wanted = [name for name, counts in zip(true, among, strict=True) if counts]
    known = {coco_name(name) for name in names}
    unknown = tuple(name for name in wanted if coco_name(name) not in known)
    if set(wanted) - set(unknown) <= {BACKGROUND} and unknown:
        raise MetricError(
            f"the model knows none of the classes {', '.join(unknown[:8])}: "
            f"it knows {', '.join(list(names)[:8])}"
        )
    return unknown


def _check_sizes(truth: Any, ids: Sequence[int], records: Sequence[Record]) -> None:
    """Raise MetricError if boxes were drawn on pictures of another size; fill in sizes unsaid."""
    for image, record in zip(ids, records, strict=True):
        entry, own = truth.imgs[image], (record.height, record.width)
        said = entry.setdefault("height", own[0]), entry.setdefault("width", own[1])
        if said != own:
            raise MetricError(
                f"{record.name}: {own[1]}x{own[0]} pixels, its COCO entry says "
                f"{said[1]}x{said[0]}: was it resized or turned? Its boxes would not fit"
            )


def _dense(seen: Seen, classes: int) -> NDArray[np.int64]:
    """Pixels by true and seen class: (classes, classes)."""
    assert isinstance(seen, Confusion)
    counts = np.zeros((classes, classes), np.int64)
    true, found, pixels = seen.triples.T
    counts[true, found] = pixels
    return counts


def _named(metric: str, labelled: bool) -> str:
    return metric if labelled else agreement(metric)
