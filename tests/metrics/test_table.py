"""The table of metrics: what a number means is said once, and every measured one is in it."""

import numpy as np
import pytest

from vcm.bd import bd_rate
from vcm.evaluate.quality import ALWAYS, COMPARISONS, Judge
from vcm.metrics import learned
from vcm.metrics.table import METRICS, agreement, axis, metric
from vcm.rd import RDCurve, RDPoint
from vcm.report.page import TEMPLATE


def test_whatever_pictures_are_compared_by_is_in_the_table():
    measured = {name for comparison in COMPARISONS.values() for name in comparison.metrics}
    assert measured == {name for name, m in METRICS.items() if not m.of_task}
    assert {n for n in COMPARISONS if n not in ALWAYS} == set(learned.NAMES)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_its_unit_and_whether_more_is_better(name):
    told = metric(name)
    assert told.unit in ("%", "dB", "") and told.label
    assert ("lower is better" in axis(name)) == (not told.higher)
    assert f", {told.unit}" in axis(name) or not told.unit
    assert metric(agreement(name)) is told and axis(agreement(name)) == f"agreement {axis(name)}"
    better, worse = (0.9, 0.5) if told.higher else (0.5, 0.9)
    assert told.better(better, worse) and not told.better(worse, better)
    assert told.rising(better) > told.rising(worse)


def test_less_is_better_for_bd_rate_too():
    """The same distances at half of the bits, which fall as the rate rises."""

    def curve(label, factor):
        scores = (METRICS["LPIPS"].rising(0.5 / step) for step in (1, 2, 3, 4, 5))
        points = (RDPoint(1000 * factor * 2**i, 10_000, s) for i, s in enumerate(scores))
        return RDCurve(label, "LPIPS", tuple(points))

    assert bd_rate(curve("a", 2), curve("b", 1)) == pytest.approx(-50)


def test_equal_pictures_and_empty_parts():
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    scores = Judge().scores(picture, picture, np.zeros((40, 50), np.bool_))
    assert scores == {"PSNR": 100, "background PSNR": 100}  # no ROI; too small for MS-SSIM


def test_the_page_asks_the_table():
    assert "metric_of(name).digits" in TEMPLATE.read_text()
