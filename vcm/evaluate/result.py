"""From what was measured to a report."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.device import computer
from vcm.errors import MetricError
from vcm.evaluate.codecs import is_ours, labels
from vcm.evaluate.curves import Curve, bd, bits_at, difference, rates_at
from vcm.evaluate.estimates import Estimate
from vcm.evaluate.expected import main_metric
from vcm.evaluate.intervals import RESAMPLES, interval, resamples
from vcm.evaluate.plan import Plan
from vcm.evaluate.rated import Rated
from vcm.evaluate.record import Record, complete
from vcm.evaluate.report import SHARES, CodecReport, Pair, PointReport, Report, RoiReport
from vcm.evaluate.score import QUALITY, Point, Scorer
from vcm.metrics.table import agreement
from vcm.provenance import provenance
from vcm.roi.mask import NOTHING
from vcm.vision.base import Objects, TaskModel

Floats = NDArray[np.float64]
Say = Callable[[str], None]
FEW: Final = 8  # seconds; shorter clips get no intervals
COMPARED: Final = (
    "mask_AP",
    "MOTA",
    "IDF1",
    "ROI-PSNR",
    "PSNR",
    "MS-SSIM",
)  # by BD-rate, beside the task's metric


def silent(line: str) -> None:
    """Say nothing."""


def result(
    plan: Plan,
    model: TaskModel,
    codecs: Mapping[str, Rated],
    networks: Sequence[str],
    records: Mapping[str, Record],
    say: Say = silent,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Scores, curves, BD-rates and bits at scores, with intervals over pictures.

    Args:
        codecs: by their texts.
        networks: what looked for the words.
        say: is told what is being computed.
        failed: why pictures have no record, by their names.

    Raises:
        MetricError: if no picture was measured whole, or the plan's reference is none of its
            codecs.
    """
    rows, reasons = complete(records, codecs)
    unseen = {p.name: "not measured" for p in plan.data.photos if p.name not in records}
    reasons |= unseen | dict(failed)
    if not rows:
        raise nothing_measured(reasons)
    weights = resampled(plan, len(rows))
    pixels = np.array([float(r.pixels) for r in rows])
    scorer = Scorer(plan, model.kind, model.names, rows, weights)
    original = scorer.original()
    curves: dict[str, Curve] = {}
    for text, name in labels(codecs).items():
        say(f"scores of {name}")
        curves[text] = Curve(name, scorer.points(text), weights, pixels)
    metric = main_metric(plan.task, original.values)
    whole = original.values[metric]
    base = curves[reference_of(plan.codecs, plan.reference)]
    say(f"BD-rates against {base.name}")
    others = (name for m in COMPARED for name in (m, agreement(m)))
    shown = [m for m in dict.fromkeys((metric, *others)) if _has(curves, m)]
    every = list(curves.values())
    return Report(
        plan=plan,
        provenance=provenance() | {"device": computer(plan.device)},
        kind=model.kind,
        pictures=len(rows),
        pixels=int(pixels.sum()),
        roi=_roi(plan, networks, rows),
        metric=metric,
        uncompressed={k: _estimate(v) for k, v in original.values.items()},
        uncompressed_classes=original.classes,
        unknown_classes=scorer.unknown,
        codecs=tuple(_codec(text, curve) for text, curve in curves.items()),
        reference=base.name,
        bd={m: {c.name: bd(base, c, m) for c in every} for m in shown},
        bits_at={s: {c.name: bits_at(c, metric, s / 100 * whole) for c in every} for s in SHARES},
        pairs=tuple(_pairs(every, metric, whole)),
        failed=reasons,
        left_out=plan.left_out,
        notes=(*plan.notes, *oddities(rows), *clippings(curves, rows)),
        rate=None if plan.footage is None else plan.footage.rate,
    )


def resampled(plan: Plan, count: int) -> Floats:
    """How often each picture counts; the frames of a second count together, as they are alike."""
    if plan.footage is None:
        return resamples(count)
    second = np.arange(count) // plan.footage.second
    seconds = int(second[-1]) + 1
    return resamples(seconds, RESAMPLES if seconds >= FEW else 0)[:, second]


def nothing_measured(reasons: Mapping[str, str], hint: str = "") -> MetricError:
    """The error that there is no number, with the first reason and how many pictures share it.

    Args:
        hint: of the first reason's error.
    """
    alike = [_kind(reason.replace(name, "...")) for name, reason in reasons.items()]
    if not alike:
        return MetricError("no picture could be measured: there is none")
    first = next(iter(reasons.values()))
    return MetricError(
        f"no picture could be measured: {first} (the same for {alike.count(alike[0])} of "
        f"{len(alike)} pictures)",
        hint=hint,
    )


def oddities(rows: Iterable[Record]) -> list[str]:
    """What is odd about pictures that were measured all the same: one of each kind, counted."""
    found: dict[str, list[str]] = {}
    for record in rows:
        for line in record.said:
            found.setdefault(_kind(line), []).append(f"{record.name}: {line}")
    return [
        lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more like it)"
        for lines in found.values()
    ]


def _kind(line: str) -> str:
    """A line with its numbers masked: the same for lines that differ only in numbers."""
    return re.sub(r"\d+", "N", line)


def clippings(curves: Mapping[str, Curve], rows: Sequence[Record]) -> Iterator[str]:
    """A line for each codec that could not be as coarse as masks ask; curves by their texts."""
    for text, curve in curves.items():
        shares = {
            f"{point.setting:g}": np.mean(
                [r.codecs[text].settings[f"{point.setting:g}"].clipped for r in rows]
            )
            for point in curve.points
        }
        told = [f"{100 * share:.1f} % at {setting}" for setting, share in shares.items() if share]
        if told:
            yield f"{curve.name}: blocks coded at QP 51 that would need more: {', '.join(told)}"


def _pairs(curves: list[Curve], metric: str, whole: Floats) -> Iterator[Pair]:
    """Each two codecs on the same photos: bits at a score and BD-rate, in percent of the other."""
    rates = {s: [rates_at(c, metric, s / 100 * whole) for c in curves] for s in SHARES}
    for (i, one), (j, other) in combinations(enumerate(curves), 2):
        differences = {share: difference(r[i], r[j]) for share, r in rates.items()}
        yield Pair(one.name, other.name, differences, bd(other, one, metric))


def reference_of(codecs: tuple[str, ...], wanted: str | None) -> str:
    """The codec that BD-rates are against: the one that is wanted, else the first not ours.

    Raises:
        MetricError: if it is none of the codecs.
    """
    if wanted is None:
        return next((text for text in codecs if not is_ours(text)), codecs[0])
    if wanted not in codecs:
        raise MetricError(f"reference {wanted}: expected one of {', '.join(codecs)}")
    return wanted


def _has(curves: Mapping[str, Curve], metric: str) -> bool:
    return all(metric in p.scores.values for c in curves.values() for p in c.points)


def _roi(plan: Plan, networks: Sequence[str], rows: list[Record]) -> RoiReport:
    return RoiReport(
        source=plan.roi,
        weights=plan.roi_weights,
        words=plan.task.text,
        on_empty=plan.on_empty,
        networks=tuple(networks),
        mean_share=float(np.mean([r.roi_share for r in rows])),
        without=sum(NOTHING in r.roi_source for r in rows),
    )


def _codec(text: str, curve: Curve) -> CodecReport:
    bpp = curve.bpp()
    points = (_point(p, curve.bits[0, i], bpp[:, i]) for i, p in enumerate(curve.points))
    return CodecReport(curve.name, text, is_ours(text), tuple(points))


def _point(point: Point, bits: float, bpp: Floats) -> PointReport:
    scores = {k: _estimate(v) for k, v in point.scores.values.items()}
    return PointReport(point.setting, int(bits), _estimate(bpp), scores, point.scores.classes)


def _estimate(values: Floats) -> Estimate:
    return Estimate(float(values[0]), *interval(values[0], values[1:]))


def rows_for_csv(plan: Plan, records: Mapping[str, Record]) -> Iterator[dict[str, Any]]:
    """One row a picture, codec and setting."""
    for name, record in records.items():
        for text in (text for text in plan.codecs if text in record.codecs):
            for setting, row in record.codecs[text].settings.items():
                objects = row.output.scores if isinstance(row.output, Objects) else np.zeros(0)
                yield {
                    "picture": name,
                    "codec": text,
                    "setting": setting,
                    "bytes": row.bytes,
                    "bpp": 8 * row.bytes / record.pixels,
                    "roi_share": record.roi_share,
                    **{m: row.scores[m] for m in QUALITY if m in row.scores},
                    "objects": int((objects >= 0.25).sum()),
                }
