"""Average precision: pycocotools finds the matches, and their counts are kept per picture.

So the score of any resample of the pictures is one matrix product, which makes intervals cheap.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MetricError
from vcm.vision.base import Objects
from vcm.vision.names import coco_name

RECALLS: Final = np.linspace(0, 1, 101)
MOST: Final = 100  # detections of a class in a picture that count, as in COCO
Floats = NDArray[np.float64]


class TruePositives(NamedTuple):
    """The true positives of one class at one IoU, most confident first.

    Attributes:
        image: (P,) int64, the picture of each.
        false: (I, P) sparse, for each picture the number of false positives that are less confident
            than the previous true positive and more confident than this one.
    """

    image: NDArray[np.int64]
    false: Any  # scipy.sparse.csr_array: nearly all entries are 0


@dataclass(frozen=True)
class Matches:
    """The matches that AP is computed from.

    Attributes:
        names: of the classes that have objects.
        positives: (C, I) float64, number of true objects of each class in each picture.
        curves: for each class, one for each IoU.
    """

    names: tuple[str, ...]
    positives: Floats
    curves: tuple[tuple[TruePositives, ...], ...]

    def precision(self, weights: Floats) -> Floats:
        """AP in percent of each class at IoU 0.5 to 0.95: (R, C, 10), NaN for one without objects.

        Args:
            weights: (R, I) float64, how often each picture counts: R resamples.
        """
        total = weights @ self.positives.T  # (R, C)
        rows = [
            [_interpolated(curve, weights, total[:, c]) for curve in curves]
            for c, curves in enumerate(self.curves)
        ]
        return 100 * np.moveaxis(np.array(rows, np.float64), 2, 0)

    def scores(self, weights: Floats) -> dict[str, Floats]:
        """AP and AP50 in percent, means over the classes that have objects: (R,) each.

        NaN for a resample without objects.
        """
        precision = self.precision(weights)
        known = ~np.isnan(precision[:, :, :1])
        with np.errstate(invalid="ignore"):
            over = np.where(known, precision, 0).sum(1) / known.sum(1)  # (R, T)
        return {"AP": over.mean(1), "AP50": over[:, 0]}

    def per_class(self) -> dict[str, float]:
        """AP in percent of each class, on the pictures as they are."""
        whole = self.precision(np.ones((1, self.positives.shape[1])))[0].mean(1)
        return dict(zip(self.names, whole.tolist(), strict=True))


def matches(
    truth: Any,
    ids: Sequence[int],
    found: Mapping[int, Objects],
    names: Sequence[str],
    classes: Sequence[str] = (),
    masks: bool = False,
) -> Matches:
    """Match detections with the ground truth.

    Args:
        truth: pycocotools' COCO with the ground truth.
        ids: of the pictures that count.
        found: detections by picture id; their labels are indices into `names`.
        classes: that count; empty: all of the ground truth.
        masks: match masks instead of boxes.

    Raises:
        MetricError: as `scored`, or if masks are missing.
    """
    wanted = scored(truth, ids, names, classes)
    own = [wanted.get(coco_name(name)) for name in names]
    results = [row for i in ids for row in _rows(i, found[i], own, masks)]
    return _evaluated(truth, list(ids), wanted, results, "segm" if masks else "bbox")


def scored(
    truth: Any, ids: Sequence[int], names: Sequence[str], classes: Sequence[str] = ()
) -> dict[str, int]:
    """Ids of the classes that count, checked before any detection; arguments as for `matches`.

    Raises:
        MetricError: if detector and ground truth share no class, or the pictures show no object of
            the classes.
    """
    wanted = categories(truth, classes)
    if not set(wanted) & set(map(coco_name, names)):
        raise MetricError(
            f"the model knows none of the classes {', '.join(list(wanted)[:8])}: "
            f"it knows {', '.join(list(names)[:8])}"
        )
    labels = (entry for i in ids for entry in truth.imgToAnns.get(i, ()))
    numbers = set(wanted.values())
    if not any(entry["category_id"] in numbers and not entry["iscrowd"] for entry in labels):
        raise MetricError("AP: none of the pictures shows an object of the classes that count")
    return wanted


def categories(truth: Any, classes: Sequence[str] = ()) -> dict[str, int]:
    """Ids of the classes that count, by their names in COCO's spelling.

    Args:
        classes: that count; empty: all of the ground truth.
    """
    chosen = {coco_name(name) for name in classes}
    names = {coco_name(c["name"]): c["id"] for c in truth.loadCats(truth.getCatIds())}
    return {name: number for name, number in names.items() if not chosen or name in chosen}


def has_masks(truth: Any) -> bool:
    """Whether every object of the ground truth has a mask, not only a box."""
    return all(entry.get("segmentation") for entry in truth.anns.values())


def _rows(
    image: int, found: Objects, categories: list[int | None], masks: bool
) -> list[dict[str, Any]]:
    """COCO's result entries of one picture; classes that do not count are left out."""
    if masks and found.masks is None:
        raise MetricError("mask AP: the model gives boxes only")
    rows = []
    for i, (box, score, label) in enumerate(
        zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    ):
        category = categories[label]
        if category is None:
            continue
        x1, y1, x2, y2 = box
        row = {"image_id": image, "category_id": category, "score": score}
        if masks:
            assert found.masks is not None
            row["segmentation"] = found.masks[i]
        else:
            row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        rows.append(row)
    return rows


def _evaluated(
    truth: Any, ids: list[int], wanted: dict[str, int], results: list[dict[str, Any]], kind: str
) -> Matches:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, _index(truth, results), kind)
        params = evaluation.params
        params.imgIds, params.catIds = sorted(ids), sorted(wanted.values())
        params.areaRng, params.areaRngLbl, params.maxDets = [[0, 1e10]], ["all"], [MOST]
        evaluation.evaluate()
    size = len(params.imgIds)
    by_class = np.array(evaluation.evalImgs, object).reshape(len(params.catIds), size)
    place = {image: i for i, image in enumerate(params.imgIds)}
    order = [place[i] for i in ids]  # the caller's order of pictures
    name_of = {v: k for k, v in wanted.items()}
    names, positives, curves = [], [], []
    for category, row in zip(params.catIds, by_class, strict=True):
        entries = [row[i] for i in order]
        count = [0 if e is None else int((~np.array(e["gtIgnore"], bool)).sum()) for e in entries]
        if sum(count):
            names.append(name_of[category])
            positives.append(count)
            curves.append(_curves(entries))
    return Matches(tuple(names), np.array(positives, np.float64), tuple(curves))


def _index(truth: Any, results: list[dict[str, Any]]) -> Any:
    """Results as pycocotools' COCO; `loadRes` refuses an empty list."""
    if results:
        return truth.loadRes(results)
    empty = type(truth)()
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _curves(entries: list[dict[str, Any] | None]) -> tuple[TruePositives, ...]:
    """One class: the matches of all pictures, sorted as pycocotools does."""
    known = [(i, e) for i, e in enumerate(entries) if e is not None]
    scores = np.concatenate([np.array(e["dtScores"], np.float64) for _, e in known])
    image = np.concatenate([np.full(len(e["dtScores"]), i, np.int64) for i, e in known])
    order = np.argsort(-scores, kind="mergesort")
    matched = np.concatenate([np.asarray(e["dtMatches"]) for _, e in known], 1)[:, order] > 0
    ignored = np.concatenate([np.asarray(e["dtIgnore"], bool) for _, e in known], 1)[:, order]
    return tuple(
        _curve(image[order], m & ~i, ~m & ~i, len(entries))
        for m, i in zip(matched, ignored, strict=True)
    )


def _curve(
    image: NDArray[np.int64], true: NDArray[np.bool_], false: NDArray[np.bool_], images: int
) -> TruePositives:
    from scipy.sparse import csr_array

    at = np.flatnonzero(true)
    # a false positive counts from the next true positive on
    behind = np.searchsorted(at, np.flatnonzero(false))
    some = behind < len(at)
    places = image[false][some], behind[some]
    return TruePositives(
        image[at], csr_array((np.ones(some.sum()), places), shape=(images, len(at)))
    )


def _interpolated(curve: TruePositives, weights: Floats, total: Floats) -> Floats:
    """Mean over 101 recalls of the best precision at that recall or a higher one: (R,).

    Source: Lin et al. 2014 and pycocotools' `accumulate`. Only true positives change the recall,
    and precision is best at them.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        true = weights[:, curve.image].cumsum(1)  # (R, P)
        recall = true / total[:, None]
        false = (weights @ curve.false).cumsum(1)
        precision = true / (true + false + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    reached = np.searchsorted(RECALLS, recall.ravel(), "right").reshape(recall.shape)
    steps = np.diff(reached, axis=1, prepend=0)
    score = (steps * best).sum(1) / len(RECALLS)
    return np.where(total > 0, score, np.nan)
