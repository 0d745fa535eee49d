"""RoiMask and boxes: what is accepted, and what comes out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vcm.errors import SpecError
from vcm.roi.box import from_boxes, parse_box
from vcm.roi.mask import RoiMask, valued

SIDE = st.integers(1, 12)
SIGMA = st.floats(0, 1, exclude_min=True)


@given(hnp.arrays(np.bool_, st.tuples(SIDE, SIDE)), SIGMA)
def test_values_are_one_inside_and_sigma_outside(roi: np.ndarray, sigma: float) -> None:
    mask = RoiMask(roi, sigma, "test")
    assert mask.values.dtype == np.float16 and mask.values.shape == roi.shape
    assert (mask.values[roi] == 1).all()
    assert np.allclose(mask.values[~roi], sigma, rtol=1e-3, atol=1e-7)
    assert mask.share == pytest.approx(roi.sum() / roi.size)


@given(hnp.arrays(np.float32, st.tuples(SIDE, SIDE), elements=st.floats(0, 1, width=32)), SIGMA)
def test_values_inside_are_those_of_the_map_where_they_are_over_sigma(values, sigma):
    mask = RoiMask(values, sigma, "test")
    outside = np.float16(mask.outside)
    assert mask.two_valued is False and (mask.roi == (values.astype(np.float16) > 0)).all()
    np.testing.assert_array_equal(mask.values, np.maximum(values.astype(np.float16), outside))
    even = mask.at(1.0)
    assert (even.values == 1).all() and (even.roi == mask.roi).all()


@pytest.mark.parametrize("value", [-0.1, 1.01, math.nan, math.inf])
def test_values_out_of_range(value):
    with pytest.raises(SpecError, match="mask: expected values from 0 to 1"):
        RoiMask(np.full((2, 3), value), 0.5, "test")


@pytest.mark.parametrize("sigma", [0.0, -0.1, 1.0001, math.inf, math.nan])
def test_sigma_out_of_range(sigma: float) -> None:
    with pytest.raises(SpecError, match="sigma: expected a number over 0, at most 1"):
        RoiMask(np.ones((2, 3), np.bool_), sigma, "test")


@pytest.mark.parametrize(
    "roi",
    [
        np.ones((2, 3), np.uint8),
        np.ones((2, 3), np.complex64),
        np.ones((2, 3, 1), np.bool_),
        np.ones((0, 3), np.bool_),
    ],
)
def test_what_is_no_mask(roi: np.ndarray) -> None:
    with pytest.raises(SpecError, match=r"mask: expected \(H, W\) bool"):
        RoiMask(roi, 0.5, "test")


def test_a_box_is_half_open() -> None:
    mask = from_boxes([parse_box("2,1,3,2")], (5, 7), 0.1)
    rows, columns = np.nonzero(mask.roi)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 2, 2, 4)
    assert mask.roi.sum() == 6


def test_boxes_are_united_and_cut_off_at_the_border() -> None:
    mask = from_boxes([(-2, -3, 4, 4), (5, 3, 100, 100), (1, 0, 1, 1)], (5, 7), 0.1)
    expected = np.zeros((5, 7), np.bool_)
    expected[:1, :2] = expected[3:, 5:] = True
    np.testing.assert_array_equal(mask.roi, expected)


@pytest.mark.parametrize("box", [(7, 0, 2, 2), (0, 5, 2, 2), (-2, 0, 2, 2), (0, -9, 7, 9)])
def test_a_box_outside_is_an_error(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(SpecError, match="outside of the picture, which has 7x5 pixels"):
        from_boxes([(0, 0, 1, 1), box], (5, 7), 0.1)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "0,0,0,4"])
def test_a_text_that_is_no_box(text: str) -> None:
    with pytest.raises(SpecError, match="box: expected"):
        parse_box(text)


@given(st.text(max_size=30) | st.text(alphabet="0123456789-,. ", max_size=30))
def test_any_text_is_a_box_or_a_spec_error(text: str) -> None:
    try:
        _, _, width, height = parse_box(text)
    except SpecError:
        return
    assert width >= 1 and height >= 1


def test_a_mask_that_selects_nothing(caplog):
    nothing = np.zeros((3, 4), np.bool_)
    assert valued(nothing, 0.1, "mask", "whole", "it is empty").roi.all()
    assert "it is empty: the whole picture is coded evenly" in caplog.text
    assert not valued(nothing, 0.1, "mask", "background", "it is empty").roi.any()
    with pytest.raises(SpecError, match="it is empty"):
        valued(nothing, 0.1, "mask", "error", "it is empty")
