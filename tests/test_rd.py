"""Curves and BD-rates, against values that are known without the code."""

import numpy as np
import pytest

from vcm.bd import bd_rate
from vcm.errors import MetricError
from vcm.rd import RDCurve, RDPoint

RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
PIXELS = 1_000_000


def curve(rates, score, label="codec", metric="PSNR, dB"):
    points = (RDPoint(round(r * PIXELS), PIXELS, score(r)) for r in rates)
    return RDCurve(label, metric, tuple(points))


def log_score(rate):
    return 30 + 5 * np.log2(rate)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.3])
def test_the_same_scores_for_a_share_of_the_bits(factor):
    cheaper = curve([r * factor for r in RATES], lambda r: log_score(r / factor))
    assert bd_rate(curve(RATES, log_score), cheaper) == pytest.approx(100 * (factor - 1), abs=1e-4)


def test_bent_curves_are_joined_by_akimas_method():
    """By SciPy: integrals of log rate over the scores that both reach; other splines differ."""
    scipy = pytest.importorskip("scipy.interpolate")
    scores = np.array([[28.0, 31.5, 33.0, 36.5, 37.0], [27.0, 29.0, 34.5, 35.0, 38.5]])
    a, b = (
        RDCurve(
            "c",
            "PSNR",
            tuple(RDPoint(round(r * PIXELS), PIXELS, s) for r, s in zip(RATES, row, strict=True)),
        )
        for row in scores.tolist()
    )
    low, high = scores[:, 0].max(), scores[:, -1].min()

    def by(spline):
        areas = [spline(row, np.log(RATES)).integrate(low, high) for row in scores]
        return 100 * (np.exp((areas[1] - areas[0]) / (high - low)) - 1)

    assert bd_rate(a, b) == pytest.approx(by(scipy.Akima1DInterpolator), abs=1e-3)
    assert abs(by(scipy.PchipInterpolator) - by(scipy.Akima1DInterpolator)) > 0.1


def test_known_value_of_two_straight_lines():
    # At score s the octaves of rate are (s - 30) / 5 and (s - 30) / 6. The mean of their difference
    # over the scores that both reach is the difference at the middle score.
    steep = curve(RATES, lambda r: 30 + 6 * np.log2(r))
    low = max(30 + 5 * np.log2(0.1), 30 + 6 * np.log2(0.1))
    high = min(30 + 5 * np.log2(1.6), 30 + 6 * np.log2(1.6))
    octaves = ((low + high) / 2 - 30) * (1 / 6 - 1 / 5)
    assert bd_rate(curve(RATES, log_score), steep) == pytest.approx(
        100 * (2**octaves - 1), abs=1e-3
    )


def test_a_range_of_rates_cuts_both_curves():
    def bent(rate):  # 20 % cheaper below 0.4 bpp, as dear above
        return log_score(rate / 0.8) if rate < 0.39 else log_score(rate)

    rates = np.geomspace(0.1, 1.6, 33)
    whole = bd_rate(curve(rates, log_score), curve(rates, bent))
    cut = bd_rate(curve(rates, log_score), curve(rates, bent), 0.1, 0.3)
    assert cut == pytest.approx(-20, abs=0.1)
    assert whole > -15


def test_curves_with_flat_parts_can_be_cut():
    """Akima's curve overshoots beside them: an end of the cut could lie under its neighbour."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        rates = np.sort(np.exp(rng.uniform(np.log(0.05), np.log(2), 7)))
        scores = 30 + np.cumsum(10.0 ** rng.uniform(-4, 0.7, 7))
        points = (RDPoint(round(r * 1e8), 10**8, s) for r, s in zip(rates, scores, strict=True))
        bent = RDCurve("bent", "PSNR, dB", tuple(points))
        assert bd_rate(bent, bent, 0.1, 1.0) == pytest.approx(0, abs=1e-6)


def test_points_that_cost_more_and_score_less_are_left_out():
    plain = curve(RATES, log_score)
    bad = RDPoint(round(0.5 * PIXELS), PIXELS, log_score(0.3))
    assert bd_rate(plain, RDCurve("codec", plain.metric, (*plain.points, bad))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (curve(RATES, lambda r: log_score(r) + 100), "share no"),
        (curve(RATES[:3], log_score), "four"),
        (curve(RATES, log_score, metric="mAP"), "one metric"),
    ],
)
def test_curves_that_cannot_be_compared(test, message):
    with pytest.raises(MetricError, match=message):
        bd_rate(curve(RATES, log_score), test)


@pytest.mark.parametrize("values", [(0, 1, 1.0), (1, 0, 1.0), (1, 1, float("nan"))])
def test_points_are_checked(values):
    with pytest.raises(MetricError):
        RDPoint(*values)


def test_curves_are_sorted_and_have_no_two_points_at_one_rate():
    assert curve((0.8, 0.2, 0.4, 0.1), log_score).bpp == [0.1, 0.2, 0.4, 0.8]
    with pytest.raises(MetricError):
        curve((0.2, 0.2), log_score)
