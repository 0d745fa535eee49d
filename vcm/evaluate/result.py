"""The result of an evaluation as one dictionary: what results.json holds and the page shows."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MetricError
from vcm.evaluate.codecs import RatedCodec, labels
from vcm.evaluate.curves import Curve, bd, bits_at, difference, rates_at
from vcm.evaluate.intervals import interval
from vcm.evaluate.plan import Plan
from vcm.evaluate.record import Record
from vcm.evaluate.score import QUALITY, Point, Scorer, Scores, agreement, complete, resamples
from vcm.provenance import provenance
from vcm.roi.mask import NOTHING
from vcm.task import Expected, TaskSpec
from vcm.vision.base import TaskModel

Floats = NDArray[np.float64]
SHARES: Final = (99, 95, 90)  # percent of the uncompressed score
COMPARED: Final = ("mask_AP", "ROI-PSNR", "PSNR", "MS-SSIM")  # by BD-rate, beside the task's metric


def main_metric(task: TaskSpec, values: Mapping[str, Any]) -> str:
    """The task's metric or the model's agreement in it, if measured; else what was first."""
    wanted = (task.metric, agreement(task.metric)) if task.metric else ()
    return next((m for m in wanted if m in values), next(iter(values)))


def uncompressed(plan: Plan, model: TaskModel, records: Mapping[str, Record]) -> Scores:
    """Scores of the task model on the pictures as they are, without intervals."""
    rows = list(records.values())
    return Scorer(plan, model.kind, model.names, rows, np.ones((1, len(rows)))).original()


def check_expected(plan: Plan, scores: Scores) -> str:
    """A sentence on the uncompressed score.

    Raises:
        MetricError: if the task says what it is for this model and these data, and it is not.
    """
    task = plan.task
    metric = main_metric(task, scores.values)
    value = float(scores.values[metric][0])
    said = f"uncompressed {metric} {value:.1f}"
    known = expected_of(plan)
    if known is None or metric != task.metric:
        return said
    expected, tolerance = known.score, known.tolerance
    if abs(value - expected) > tolerance:
        raise MetricError(
            f"{said}, task {task.name} expects {expected:g} ± {tolerance:g}: the model, its "
            f"adapter or the pictures are not the task's; --unchecked goes on all the same"
        )
    return f"{said}, as task {task.name} expects ({expected:g} ± {tolerance:g})"


def expected_of(plan: Plan) -> Expected | None:
    """What the task says of this model and just these data, if anything."""
    task, data = plan.task, plan.data
    if data.name != task.data or data.part:
        return None
    weights = plan.model.rpartition("/")[2].rpartition(":")[2]
    known = ([task.expected] if task.expected else []) + list(task.also)
    fits = (e for e in known if (e.weights or task.weights, e.only) == (weights, data.only))
    return next(fits, None)


def result(
    plan: Plan,
    model: TaskModel,
    codecs: Mapping[str, RatedCodec],
    records: Mapping[str, Record],
    reference: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Scores, curves, BD-rates and bits at scores, with intervals over pictures.

    Args:
        codecs: by their texts.
        say: is told what is being computed.
        reference: text of the codec that BD-rates are against; None: the first that is not ours.
        failed: why pictures have no record, by their names.

    Raises:
        MetricError: if no picture was measured whole, or `reference` is none of the codecs.
    """
    rows, reasons = complete(records, codecs)
    unseen = {p.name: "not measured" for p in plan.data.photos if p.name not in records}
    reasons |= unseen | dict(failed)
    if not rows:
        raise nothing_measured(reasons)
    weights = resamples(len(rows))
    pixels = np.array([float(r["height"] * r["width"]) for r in rows])
    scorer = Scorer(plan, model.kind, model.names, rows, weights)
    original = scorer.original()
    curves: dict[str, Curve] = {}
    for text, name in labels(codecs).items():
        say(f"scores of {name}")
        curves[text] = Curve(name, scorer.points(text), weights, pixels)
    metric = main_metric(plan.task, original.values)
    base = reference_of(plan.codecs, reference)
    say(f"BD-rates against {curves[base].name}")
    others = (name for m in COMPARED for name in (m, agreement(m)))
    shown = [m for m in dict.fromkeys((metric, *others)) if _has(curves, m)]
    return {
        **provenance(),
        "task": asdict(plan.task),
        "model": {"name": plan.model, "kind": model.kind},
        "data": {"name": plan.data.name, "pictures": len(rows), "pixels": int(pixels.sum())},
        "roi": _roi(plan, rows),
        "metric": metric,
        "uncompressed": {k: _with_interval(v) for k, v in original.values.items()},
        "uncompressed_classes": original.classes,
        "unknown_classes": scorer.unknown,
        "codecs": [_codec(text, curve) for text, curve in curves.items()],
        "reference": curves[base].name,
        "bd": {m: {c.name: bd(curves[base], c, m) for c in curves.values()} for m in shown},
        "bits_at": {
            f"{share}": {
                c.name: bits_at(c, metric, share / 100 * original.values[metric])
                for c in curves.values()
            }
            for share in SHARES
        },
        "pairs": list(_pairs(list(curves.values()), metric, original.values[metric])),
        "failed": reasons,
        "left_out": list(plan.left_out),
        "notes": [*plan.notes, *oddities(rows)],
    }


def nothing_measured(reasons: Mapping[str, str]) -> MetricError:
    """The error that there is no number, with the first reason and how many pictures share it."""
    alike = [reason.replace(name, "...") for name, reason in reasons.items()]
    if not alike:
        return MetricError("no picture could be measured: there is none")
    first = next(iter(reasons.values()))
    return MetricError(
        f"no picture could be measured: {first} (the same for {alike.count(alike[0])} of "
        f"{len(alike)} pictures)"
    )


def oddities(rows: Iterable[Record]) -> list[str]:
    """What is odd about pictures that were measured all the same: one of each kind, counted."""
    found: dict[str, list[str]] = {}
    for record in rows:
        for line in record["said"]:
            found.setdefault(re.sub(r"\d+", "N", line), []).append(f"{record['name']}: {line}")
    return [
        lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more like it)"
        for lines in found.values()
    ]


def _pairs(curves: list[Curve], metric: str, whole: Floats) -> Iterator[dict[str, Any]]:
    """Each two codecs on the same photos: bits at a score and BD-rate, in percent of the other."""
    rates = {s: [rates_at(c, metric, s / 100 * whole) for c in curves] for s in SHARES}
    for (i, one), (j, other) in combinations(enumerate(curves), 2):
        yield {
            "codec": one.name,
            "against": other.name,
            "bits_at": {f"{share}": difference(r[i], r[j]) for share, r in rates.items()},
            "bd": bd(other, one, metric),
        }


def reference_of(codecs: tuple[str, ...], wanted: str | None) -> str:
    """The codec that BD-rates are against, see `result`.

    Raises:
        MetricError: if it is none of the codecs.
    """
    if wanted is None:
        return next((c for c in codecs if c.partition(":")[0] != "vcm"), codecs[0])
    if wanted not in codecs:
        raise MetricError(f"--reference {wanted}: expected one of {', '.join(codecs)}")
    return wanted


def _has(curves: Mapping[str, Curve], metric: str) -> bool:
    return all(metric in p.scores.values for c in curves.values() for p in c.points)


def _roi(plan: Plan, rows: list[Record]) -> dict[str, Any]:
    shares = [r["roi_share"] for r in rows]
    return {
        "from": plan.roi,
        "weights": plan.roi_weights,
        "words": plan.task.text,
        "on_empty": plan.on_empty,
        "mean_share": float(np.mean(shares)),
        "pictures_without": sum(NOTHING in r["roi_source"] for r in rows),
    }


def _codec(text: str, curve: Curve) -> dict[str, Any]:
    bpp = curve.bpp()
    points = [_point(p, curve.bits[0, i], bpp[:, i]) for i, p in enumerate(curve.points)]
    return {"name": curve.name, "text": text, "points": points}


def _point(point: Point, bits: float, bpp: Floats) -> dict[str, Any]:
    return {
        "setting": point.setting,
        "bits": int(bits),
        "bpp": _with_interval(bpp),
        "scores": {k: _with_interval(v) for k, v in point.scores.values.items()},
        "classes": point.scores.classes,
    }


def _with_interval(values: Floats) -> dict[str, float | None]:
    return {"value": float(values[0])} | interval(values[0], values[1:])


def rows_for_csv(plan: Plan, records: Mapping[str, Record]) -> Iterator[dict[str, Any]]:
    """One row a picture, codec and setting."""
    for name, record in records.items():
        pixels = record["height"] * record["width"]
        for text in plan.codecs:
            for setting, row in record["codecs"].get(text, {}).get("settings", {}).items():
                yield {
                    "picture": name,
                    "codec": text,
                    "setting": setting,
                    "bytes": row["bytes"],
                    "bpp": 8 * row["bytes"] / pixels,
                    "roi_share": record["roi_share"],
                    **{m: row[m] for m in QUALITY if m in row},
                    "objects": sum(s >= 0.25 for s in row["output"].get("scores", [])),
                }
