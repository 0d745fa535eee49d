"""Numbers of curves that can be worked out by hand."""

from statistics import NormalDist

import numpy as np
import pytest

from vcm.evaluate.curves import Curve, bd, bits_at, crossing, difference, rates_at
from vcm.evaluate.estimates import Difference
from vcm.evaluate.intervals import interval, resamples
from vcm.evaluate.score import Point, Scores
from vcm.metrics.table import axis


def curve(name, factor, images=20, seed=0):
    """Scores that grow with the logarithm of the rate; `factor` times the bits of factor 1."""
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.5, 1.5, images)
    weights = resamples(images, 200)
    points = []
    for step in range(6):
        bits = 1000 * factor * sizes * 2.0**step
        noise = weights @ rng.normal(0, 0.3, images) / images
        points.append(Point(step, bits, Scores({"AP": 20 + 5 * step + noise}, {}), {}))
    return Curve(name, points, weights, np.full(images, 10_000.0))


def test_bd_rate_of_half_the_bits_is_minus_50_percent():
    found = bd(curve("a", 1.0), curve("b", 0.5), "AP")
    assert found.value == pytest.approx(-50, abs=0.5)
    assert found.low < -49 and found.high > -51
    assert found.high - found.low < 5  # the same pictures: their sizes cancel


def test_points_of_equal_cost_are_a_reason_and_no_fault():
    a, b = curve("a", 1.0), curve("b", 1.0)
    b.bits[:, 1] = b.bits[:, 0]
    assert "b: expected points at different rates" in bd(a, b, "AP").reason


def test_one_picture_has_no_intervals():
    found = bd(curve("a", 1.0, images=1), curve("b", 0.5, images=1), "AP")
    assert found.value == pytest.approx(-50, abs=0.5)
    assert found.low is found.high is found.known is None and not found.thin
    whole = bits_at(curve("a", 1.0, images=1), "AP", np.array([32.0]))
    assert whole.value > 0 and whole.low is whole.high is None


def test_of_a_score_of_0_there_is_no_share():
    found, none = curve("a", 1.0), np.zeros(201)
    whole = bits_at(found, "AP", none)
    assert whole.value is None and whole.reason == "AP of the uncompressed pictures is 0"
    assert difference(rates_at(found, "AP", none), rates_at(found, "AP", none)).value is None


def test_a_bd_rate_that_few_resamples_have_is_marked():
    a, b = curve("a", 1.0), curve("b", 1.0)
    for point in b.points:
        point.scores.values["AP"][1:31] += 100  # of 200: there they do not meet
    found = bd(a, b, "AP")
    assert found.known == pytest.approx(0.85) and found.thin and found.overlap == 1


def test_curves_that_do_not_meet_have_no_bd_rate():
    low, high = curve("a", 1.0), curve("b", 1.0)
    for point in high.points:
        point.scores.values["AP"] = point.scores.values["AP"] + 100
    found = bd(low, high, "AP")
    assert found.value is None and "share no AP" in found.reason


def test_where_a_score_is_reached():
    bpp, scores = np.array([0.1, 0.2, 0.4, 0.8]), np.array([10.0, 30.0, 25.0, 40.0])
    assert crossing(bpp, scores, 20) == pytest.approx(0.1 * 2**0.5)  # halfway in the logarithm
    assert crossing(bpp, scores, 5) == 0.1
    assert crossing(bpp, scores, 35) == pytest.approx(0.4 * 2**0.5)  # from the envelope's 30
    assert crossing(bpp, scores, 41) == np.inf


def test_bits_at_a_share_with_its_interval():
    c = curve("a", 1.0)
    targets = np.full(len(c.pixels), 32.0)
    found = bits_at(c, "AP", targets)
    assert found.low < found.value < found.high and not found.at_most
    expected = 0.1 * 2 ** ((32 - 20) / 5) * np.mean(c.points[0].bits) / 1000
    assert found.value == pytest.approx(expected, rel=0.1)
    assert bits_at(c, "AP", targets / 10).at_most
    assert "not reached (best" in bits_at(c, "AP", targets * 9).reason


def test_intervals():
    assert interval(500.0, np.arange(1001.0)) == (25.0, 975.0)
    assert interval(1.0, np.array([1.0, np.nan, np.nan])) == (None, None)
    assert interval(1.0, np.array([])) == (None, None)
    whole = np.array([np.inf, *np.arange(999.0), np.inf])
    assert interval(500.0, whole).low == pytest.approx(24, abs=2)


def test_resamples_that_sit_off_the_value_do_not_take_the_interval_with_them():
    """Where the value is their 20th percentile, the ends are those of a value in the middle."""
    low, high = interval(200.0, np.arange(1001.0))
    off = 2 * NormalDist().inv_cdf(200.5 / 1001)
    places = [1000 * NormalDist().cdf(off + end) for end in (-1.959964, 1.959964)]
    assert (low, high) == pytest.approx(places, abs=1)
    assert interval(-5.0, np.arange(1001.0)).low == 0  # beyond all of them


def test_two_codecs_are_compared_on_the_same_photos():
    """The one needs half of the bits of the other for every photo: there is no doubt about it."""
    targets = np.full(201, 32.0)
    one, other = (rates_at(curve(name, f), "AP", targets) for name, f in (("a", 0.5), ("b", 1.0)))
    found = difference(one, other)
    assert found.value == pytest.approx(-50) and -50.01 < found.low <= found.high < -49.99
    alone = bits_at(curve("b", 1.0), "AP", targets)
    assert alone.high / alone.low > 1.05  # each by itself is much less certain
    other[0] = np.inf
    assert difference(one, other) == Difference(None)
    assert difference(other, one).value is None


def test_resamples_are_halves_without_doubles():
    weights = resamples(30, 50)
    assert weights.shape == (51, 30) and (weights[0] == 1).all()
    assert set(np.unique(weights)) == {0, 1} and (weights[1:].sum(1) == 15).all()
    assert len(np.unique(weights[1:], axis=0)) == 50
    assert np.array_equal(weights, resamples(30, 50))
    assert set(resamples(7, 50)[1:].sum(1)) == {3, 4}


def test_halves_vary_as_samples_do():
    """The mean of n numbers has the variance of one divided by n."""
    values = np.random.default_rng(0).normal(size=400)
    weights = resamples(400, 4_000)[1:]
    means = (weights @ values) / weights.sum(1)
    assert means.var() == pytest.approx(values.var(ddof=1) / 400, rel=0.05)


def test_a_bd_rate_over_little_is_marked():
    low, high = curve("a", 1.0), curve("b", 1.0)
    assert bd(low, high, "AP").overlap == pytest.approx(1)
    for point in high.points:
        point.scores.values["AP"] = point.scores.values["AP"] + 20  # of 25 that each spans
    found = bd(low, high, "AP")
    assert found.overlap == pytest.approx(5 / 45, abs=0.02) and found.thin
    assert not bd(low, low, "AP").thin


def test_ms_ssim_is_compared_in_decibels():
    c = curve("a", 1.0)
    for point in c.points:
        point.scores.values["MS-SSIM"] = 1 - 10 ** (-point.scores.values["AP"] / 10)
    assert c.resample("MS-SSIM", 3).scores == pytest.approx(c.resample("AP", 3).scores)


def test_pictures_without_a_metric_cost_nothing_in_its_bd_rate():
    a, b = curve("a", 1.0), curve("b", 1.0)
    has = np.arange(20) % 4 > 0
    for point in (*a.points, *b.points):
        point.has["ROI-PSNR"] = has.astype(float)
        point.scores.values["ROI-PSNR"] = point.scores.values["AP"]
    for point in b.points:
        point.bits[has] /= 2
        point.bits[~has] *= 10
    a, b = (Curve(c.name, c.points, resamples(20, 200), np.full(20, 10_000.0)) for c in (a, b))
    assert bd(a, b, "ROI-PSNR").value == pytest.approx(-50, abs=0.5)
    assert bd(a, b, "AP").value > 0


def test_resamples_without_a_score_do_not_count():
    c = curve("a", 1.0)
    targets = np.full(len(c.pixels), 32.0)
    whole = bits_at(c, "AP", targets)
    targets[1:20] = np.nan
    assert bits_at(c, "AP", targets).low == pytest.approx(whole.low, rel=0.05)
    assert np.isnan(crossing(np.array([0.1, 0.2]), np.array([1.0, 2.0]), np.nan))


def test_axes_are_named_with_units():
    told = {m: axis(m) for m in ("mask_AP", "agreement mIoU", "ROI-MS-SSIM")}
    assert [*told.values()] == ["mask AP, %", "agreement mIoU, %", "ROI-MS-SSIM"]
