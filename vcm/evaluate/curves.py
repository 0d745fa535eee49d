"""Curves of an evaluation, compared: BD-rates and the bits that a score needs, with intervals."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcm.bd import bd_rate, overlap
from vcm.errors import MetricError
from vcm.evaluate.estimates import BdRate, Difference, RateAt
from vcm.evaluate.intervals import interval
from vcm.evaluate.score import Point
from vcm.metrics.table import metric as of
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
        rising = of(metric).rising
        points = [
            RDPoint(round(b), round(pixels[r]), rising(float(p.scores.values[metric][r])))
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


def bd(anchor: Curve, test: Curve, metric: str) -> BdRate:
    """BD-rate with its interval, or why there is none; on the metric's own scale (`Metric`)."""
    try:
        whole = anchor.resample(metric, 0), test.resample(metric, 0)
        value, shared = bd_rate(*whole), overlap(*whole)
    except MetricError as error:
        return BdRate(None, str(error))

    if not any(np.isfinite(p.scores.values[metric][1:]).any() for p in anchor.points):
        return BdRate(value, "", shared, None, shared < THIN)

    def one(r: int) -> float:
        try:
            return bd_rate(anchor.resample(metric, r), test.resample(metric, r))
        except MetricError:
            return float("nan")

    resampled = np.array([one(r) for r in range(1, len(anchor.pixels))])
    known = float(np.isfinite(resampled).mean()) if len(resampled) else None
    thin = shared < THIN or (known is not None and known < STEADY)
    return BdRate(value, "", shared, known, thin, *interval(value, resampled))


def rates_at(curve: Curve, metric: str, targets: Floats) -> Floats:
    """Bits per pixel at which a curve first reaches a score: (1 + R,), see `crossing`.

    Args:
        targets: (1 + R,), the score of the set itself and of each resample; 0 has no rate.
    """
    sign = 1 if of(metric).higher else -1
    targets = np.where(targets == 0, np.nan, targets)  # there is no share of 0
    scores = np.stack([p.scores.values[metric] for p in curve.points], 1)
    rows = zip(curve.bpp(), sign * scores, sign * targets, strict=True)
    return np.array([crossing(bpp, row, target) for bpp, row, target in rows])


def bits_at(curve: Curve, metric: str, targets: Floats) -> RateAt:
    """Bits per pixel at which a curve first reaches a score, with its interval.

    Args:
        targets: as of `rates_at`.
    """
    if targets[0] == 0:
        return RateAt(None, f"{metric} of the uncompressed pictures is 0")
    scores = [float(p.scores.values[metric][0]) for p in curve.points]
    rates = rates_at(curve, metric, targets)
    if np.isinf(rates[0]):
        best = f"best {(max if of(metric).higher else min)(scores):.1f}"
        return RateAt(None, f"{metric} {targets[0]:.1f} not reached ({best})")
    at_most = bool(of(metric).better(scores[0], float(targets[0])))
    return RateAt(float(rates[0]), "", at_most, *interval(rates[0], rates[1:]))


def difference(rates: Floats, against: Floats) -> Difference:
    """How many percent more bits one codec needs than another, on the same photos.

    Args:
        rates, against: (1 + R,), of `rates_at`; resampled alike, so that what is hard about a
            photo is hard for both.
    """
    with np.errstate(invalid="ignore"):
        percent = 100 * (rates / against - 1)
    percent[np.isinf(against)] = np.nan  # and in resamples there is nothing to compare either
    if not np.isfinite(percent[0]):
        return Difference(None)
    return Difference(float(percent[0]), *interval(percent[0], percent[1:]))


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
