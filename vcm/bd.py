"""BD-rate: how many percent fewer bits a codec needs for the same score."""

import warnings

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MetricError, MissingExtra
from vcm.rd import RDCurve

Rising = tuple[NDArray[np.float64], NDArray[np.float64]]  # bpp and scores, both rising


def bd_rate(
    anchor: RDCurve, test: RDCurve, low: float | None = None, high: float | None = None
) -> float:
    """Mean difference of the rates at equal score, in percent of the anchor's; negative: better.

    The logarithm of the rate is integrated over the scores that both curves reach, interpolated
    by Akima's method.

    Source: Bjontegaard 2001, VCEG-M33; Herglotz et al. 2022, arXiv:2202.12565 (Akima), by the
    authors' package `bjontegaard`. Deviation: points that cost more and score less are left out.

    Args:
        low, high: bpp that both curves are cut to, if given.

    Raises:
        MetricError: if the metrics differ, a curve has fewer than four points, or no score is
            reached by both.
        MissingExtra: if the package is not installed.
    """
    try:
        import bjontegaard
    except ImportError as error:
        raise MissingExtra("bjontegaard", "anchors") from error
    (r1, s1), (r2, s2) = _comparable(anchor, test, low, high)
    if max(s1[0], s2[0]) >= min(s1[-1], s2[-1]):
        raise MetricError(
            f"BD-rate: {anchor.label} ({s1[0]:.4g} to {s1[-1]:.4g}) and {test.label} "
            f"({s2[0]:.4g} to {s2[-1]:.4g}) share no {anchor.metric}: measure more rates"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the overlap is partial: checked above
        value = bjontegaard.bd_rate(
            r1, s1, r2, s2, "akima", require_matching_points=False, min_overlap=0
        )
    return float(value)


def overlap(anchor: RDCurve, test: RDCurve) -> float:
    """The share of the scores which two curves span together that both reach, in [0, 1].

    A BD-rate over a small share says little: it is of the end of one curve and the start of the
    other.

    Raises:
        MetricError: as `bd_rate`.
    """
    (_, s1), (_, s2) = _comparable(anchor, test, None, None)
    shared = min(s1[-1], s2[-1]) - max(s1[0], s2[0])
    return max(0.0, float(shared / (max(s1[-1], s2[-1]) - min(s1[0], s2[0]))))


def _comparable(
    anchor: RDCurve, test: RDCurve, low: float | None, high: float | None
) -> tuple[Rising, Rising]:
    if anchor.metric != test.metric:
        raise MetricError(f"BD-rate: one metric expected, got {anchor.metric} and {test.metric}")
    return _cut(_envelope(anchor), low, high), _cut(_envelope(test), low, high)


def _envelope(curve: RDCurve) -> Rising:
    """The points that score more than every cheaper one."""
    rates, scores = np.array(curve.bpp), np.array(curve.scores)
    best = np.maximum.accumulate(np.concatenate([[-np.inf], scores[:-1]]))
    keep = scores > best
    if keep.sum() < 4:
        raise MetricError(
            f"BD-rate: expected four rising points or more of {curve.label}, got {keep.sum()}"
        )
    return rates[keep], scores[keep]


def _cut(curve: Rising, low: float | None, high: float | None) -> Rising:
    """The part between two rates, its ends interpolated; a curve that ends before is left so.

    Interpolated by PCHIP, which rises where the points do: Akima's curve may end below a point
    inside, and then there is no integral.
    """
    from scipy.interpolate import PchipInterpolator

    rates, scores = curve
    if low is None and high is None:
        return curve
    start = rates[0] if low is None else max(low, rates[0])
    end = rates[-1] if high is None else min(high, rates[-1])
    if start >= end:
        raise MetricError(f"BD-rate: no point between {low} and {high} bpp")
    inside = rates[(rates > start) & (rates < end)]
    wanted = np.concatenate([[start], inside, [end]])
    between = PchipInterpolator(np.log(rates), scores)(np.log(wanted))
    return wanted, np.asarray(between, np.float64)
