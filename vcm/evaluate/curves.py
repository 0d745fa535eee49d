"""Curves of an evaluation, compared: BD-rates and the bits that a score needs, with intervals."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.bd import bd_rate, overlap
from vcm.errors import MetricError
from vcm.evaluate.intervals import NONE, interval
from vcm.evaluate.score import Point
from vcm.metrics.perceptual import decibels
from vcm.rd import RDCurve, RDPoint

Floats = NDArray[np.float64]
THIN: Final = 0.5  # overlap of two curves under which a BD-rate is marked
STEADY: Final = 0.95  # share of the resamples with a BD-rate under which it is marked, too


class Curve:
    """One codec's points with all their resamples.

    Args:
        weights: (1 + R, I), how often each picture counts.
        pixels: (I,), of each picture.
    """

    def __init__(self, name: str, points: list[Point], weights: Floats, pixels: Floats):
        self.name = name
        self.points = points
        self.bits = np.stack([weights @ p.bits for p in points], 1)  # (1 + R, P)
        self.pixels: Floats = weights @ pixels  # (1 + R,)
        self._costs = {m: _cost(m, points, weights, pixels) for m in points[0].has}

    def resample(self, metric: str, r: int) -> RDCurve:
        """The curve of the set as it is (0) or of one resample.

        Of a metric that not all pictures have, bits and pixels are those of the pictures that do: a
        picture without an ROI has no ROI-PSNR, whatever it costs.

        Raises:
            MetricError: if two points cost the same, or no picture has the metric.
        """
        bits, pixels = self._costs.get(metric, (self.bits, self.pixels))
        points = [
            RDPoint(round(b), round(pixels[r]), _scaled(metric, float(p.scores.values[metric][r])))
            for b, p in zip(bits[r], self.points, strict=True)
        ]
        return RDCurve(self.name, metric, tuple(points))

    def bpp(self) -> Floats:
        """Bits per pixel: (1 + R, P)."""
        rates: Floats = self.bits / self.pixels[:, None]
        return rates


def _cost(
    metric: str, points: list[Point], weights: Floats, pixels: Floats
) -> tuple[Floats, Floats]:
    """Bits (1 + R, P) and pixels (1 + R,) of the pictures that have a metric in every point."""
    has = np.min([p.has.get(metric, np.zeros_like(pixels)) for p in points], axis=0)
    return np.stack([weights @ (has * p.bits) for p in points], 1), weights @ (has * pixels)


def bd(anchor: Curve, test: Curve, metric: str) -> dict[str, Any]:
    """BD-rate in percent with its interval, or why there is none; MS-SSIM is compared in dB.

    Returns:
        "value", or None with a "reason"; "overlap" of the two curves; "known", the share of the
        resamples that have a BD-rate (None without resamples); "thin" if one of them is small;
        "low" and "high", None if too few resamples have a BD-rate.
    """
    try:
        whole = anchor.resample(metric, 0), test.resample(metric, 0)
        value, shared = bd_rate(*whole), overlap(*whole)
    except MetricError as error:
        return {"value": None, "reason": str(error), "thin": False}

    def one(r: int) -> float:
        try:
            return bd_rate(anchor.resample(metric, r), test.resample(metric, r))
        except MetricError:
            return float("nan")

    resampled = np.array([one(r) for r in range(1, len(anchor.pixels))])
    known = float(np.isfinite(resampled).mean()) if len(resampled) else None
    thin = shared < THIN or (known is not None and known < STEADY)
    found = {"value": value, "overlap": shared, "known": known, "thin": thin}
    return found | interval(value, resampled)


def rates_at(curve: Curve, metric: str, targets: Floats) -> Floats:
    """Bits per pixel at which a curve first reaches a score: (1 + R,), see `crossing`.

    Args:
        targets: (1 + R,), the score of the set as it is and of each resample.
    """
    scores = np.stack([p.scores.values[metric] for p in curve.points], 1)
    rows = zip(curve.bpp(), scores, targets, strict=True)
    return np.array([crossing(bpp, row, target) for bpp, row, target in rows])


def bits_at(curve: Curve, metric: str, targets: Floats) -> dict[str, Any]:
    """Bits per pixel at which a curve first reaches a score, with its interval.

    Args:
        targets: as of `rates_at`.

    Returns:
        "value" in bits per pixel, or None with a "reason"; "at_most": the score is reached at
        the lowest rate measured; "low" and "high", None where the score is not reached.
    """
    scores = [float(p.scores.values[metric][0]) for p in curve.points]
    rates = rates_at(curve, metric, targets)
    if np.isinf(rates[0]):
        best = f"best {max(scores):.1f}"
        return {"value": None, "reason": f"{metric} {targets[0]:.1f} not reached ({best})"}
    at_most = bool(scores[0] >= targets[0])
    return {"value": float(rates[0]), "at_most": at_most} | interval(rates[0], rates[1:])


def difference(rates: Floats, against: Floats) -> dict[str, Any]:
    """How many percent more bits one codec needs than another, on the same photos.

    Args:
        rates, against: (1 + R,), of `rates_at`; resampled alike, so that what is hard about a
            photo is hard for both.

    Returns:
        "value", or None if one of them does not reach the score; "low" and "high".
    """
    with np.errstate(invalid="ignore"):
        percent = 100 * (rates / against - 1)
    percent[np.isinf(against)] = np.nan  # and in resamples there is nothing to compare either
    if not np.isfinite(percent[0]):
        return {"value": None} | NONE
    return {"value": float(percent[0])} | interval(percent[0], percent[1:])


def crossing(bpp: Floats, scores: Floats, target: float) -> float:
    """The rate at which the upper envelope reaches a score, linear in the rate's logarithm.

    Infinite if it never does; the lowest rate if it already does there; nan if there is no score.
    """
    if np.isnan(target) or np.isnan(scores).any():
        return float("nan")
    best = np.maximum.accumulate(scores)
    at = int(np.argmax(best >= target))
    if best[at] < target:
        return float("inf")
    if at == 0:
        return float(bpp[0])
    share = (target - best[at - 1]) / (best[at] - best[at - 1])
    low, high = np.log(bpp[at - 1]), np.log(bpp[at])
    return float(np.exp(low + share * (high - low)))


def _scaled(metric: str, value: float) -> float:
    """A score on the scale that curves are interpolated on."""
    return decibels(value) if metric.endswith("MS-SSIM") else value
