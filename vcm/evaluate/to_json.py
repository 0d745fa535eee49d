"""A report as JSON has it: the one place that knows the keys of results.json."""

from dataclasses import asdict
from typing import Any

from vcm.evaluate.estimates import BdRate, Difference, Estimate, RateAt
from vcm.evaluate.report import CodecReport, Pair, PointReport, Report, RoiReport

Json = dict[str, Any]


def to_json(report: Report) -> Json:
    """What results.json holds: dictionaries, lists, texts and numbers."""
    plan = report.plan
    return {
        **report.provenance,
        "task": asdict(plan.task),
        "model": {"name": plan.model, "kind": report.kind},
        "data": {"name": plan.data.name, "pictures": report.pictures, "pixels": report.pixels},
        "roi": _roi(report.roi),
        "metric": report.metric,
        "uncompressed": _estimates(report.uncompressed),
        "uncompressed_classes": report.uncompressed_classes,
        "unknown_classes": list(report.unknown_classes),
        "codecs": [_codec(codec, report.kbps) for codec in report.codecs],
        "reference": report.reference,
        "bd": {m: {c: _bd(v) for c, v in by.items()} for m, by in report.bd.items()},
        "bits_at": {
            f"{share}": {c: _rate(v) for c, v in by.items()} for share, by in report.bits_at.items()
        },
        "pairs": [_pair(pair) for pair in report.pairs],
        "failed": report.failed,
        "left_out": list(report.left_out),
        "notes": list(report.notes),
    }


def _roi(roi: RoiReport) -> Json:
    return {
        "from": roi.source,
        "weights": roi.weights,
        "words": roi.words,
        "on_empty": roi.on_empty,
        "mean_share": roi.mean_share,
        "pictures_without": roi.without,
        "networks": list(roi.networks),
    }


def _codec(codec: CodecReport, kbps: float | None) -> Json:
    points = [_point(p) | ({"kbps": p.bpp.value * kbps} if kbps else {}) for p in codec.points]
    return {"name": codec.name, "text": codec.text, "points": points}


def _point(point: PointReport) -> Json:
    return {
        "setting": point.setting,
        "bits": point.bits,
        "bpp": asdict(point.bpp),
        "scores": _estimates(point.scores),
        "classes": point.classes,
    }


def _pair(pair: Pair) -> Json:
    return {
        "codec": pair.codec,
        "against": pair.against,
        "bits_at": {f"{share}": asdict(v) for share, v in pair.bits_at.items()},
        "bd": _bd(pair.bd),
    }


def _bd(found: BdRate) -> Json:
    if found.value is None:
        return {"value": None, "reason": found.reason, "thin": found.thin}
    return _without(found, "reason")


def _rate(found: RateAt) -> Json:
    if found.value is None:
        return {"value": None, "reason": found.reason}
    return _without(found, "reason")


def _without(number: BdRate | RateAt | Difference, name: str) -> Json:
    return {key: value for key, value in asdict(number).items() if key != name}


def _estimates(numbers: dict[str, Estimate]) -> Json:
    return {name: asdict(number) for name, number in numbers.items()}
