"""From similarity to mask: threshold, union, exclusion, dilation, nothing found."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vcm.errors import SpecError
from vcm.roi.acquire import acquire, select
from vcm.roi.text import parse


class Colours:
    """A backend for pictures of flat colours: the similarity with "red" is the red channel."""

    name = "colours"
    tau = 0.5
    growth = 1.0

    def similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> NDArray[np.float32]:
        channels = [("red", "green", "blue").index(phrase) for phrase in phrases]
        return np.stack([image[..., c] for c in channels]).astype(np.float32) / 255


def picture() -> NDArray[np.uint8]:
    """Columns: red, green, red and blue, dark red, black."""
    columns = [(255, 0, 0), (0, 255, 0), (255, 0, 255), (100, 0, 0), (0, 0, 0)]
    return np.tile(np.array(columns, np.uint8), (4, 1, 1))


@pytest.mark.parametrize(
    ("text", "tau", "columns"),
    [
        ("red", None, [0, 2]),
        ("red", 0.3, [0, 2, 3]),
        ("red, green", None, [0, 1, 2]),
        ("red -blue", None, [0]),
        ("red, blue, -green", None, [0, 2]),
    ],
)
def test_union_exclusion_and_tau(text: str, tau: float | None, columns: list[int]) -> None:
    mask = acquire(picture(), parse(text), Colours(), sigma=0.2, tau=tau)
    expected = np.isin(np.arange(5), columns)
    np.testing.assert_array_equal(mask.roi, np.tile(expected, (4, 1)))
    assert mask.sigma == 0.2
    assert "colours" in mask.source and f"tau {tau or 0.5:g}" in mask.source


@given(st.integers(1, 30), st.integers(0, 19), st.integers(0, 24))
def test_dilation_adds_what_is_that_near(dilation: int, row: int, column: int) -> None:
    image = np.zeros((20, 25, 3), np.uint8)
    image[row, column, 0] = 255
    image[5, 5, 0] = 255
    mask = acquire(image, parse("red"), Colours(), sigma=1.0, dilation=dilation)
    y, x = np.mgrid[:20, :25]
    squared = np.minimum((y - row) ** 2 + (x - column) ** 2, (y - 5) ** 2 + (x - 5) ** 2)
    np.testing.assert_array_equal(mask.roi, squared <= dilation**2)


def test_what_is_excluded_stays_out_when_the_mask_grows() -> None:
    row = [(255, 0, 0)] * 3 + [(255, 0, 255)] * 2 + [(0, 0, 0)]
    image = np.tile(np.array(row, np.uint8), (4, 1, 1))
    mask = acquire(image, parse("red -blue"), Colours(), sigma=0.1, dilation=2)
    np.testing.assert_array_equal(mask.roi[0], [1, 1, 1, 0, 0, 0])


def test_the_faint_rim_of_what_is_excluded_is_excluded() -> None:
    class Faint(Colours):
        growth = 0.5

    row = [(200, 0, 200), (140, 0, 100), (140, 0, 100), (140, 0, 0)]  # blue: sure, then faint
    mask = acquire(np.array([row], np.uint8), parse("red -blue"), Faint(), sigma=0.1)
    np.testing.assert_array_equal(mask.roi[0], [0, 0, 0, 1])


def test_nothing_found(caplog: pytest.LogCaptureFixture) -> None:
    black = np.zeros((3, 4, 3), np.uint8)
    whole = acquire(black, parse("red"), Colours(), sigma=0.1, dilation=2)
    assert whole.roi.all() and "coded evenly" in whole.source
    assert "found nothing that matches 'red'" in caplog.text
    empty = acquire(black, parse("red"), Colours(), sigma=0.1, dilation=2, on_empty="background")
    assert not empty.roi.any()
    with pytest.raises(SpecError, match="found nothing that matches 'red'"):
        acquire(black, parse("red"), Colours(), sigma=0.1, on_empty="error")


def test_a_phrase_that_is_also_excluded_leaves_nothing() -> None:
    with pytest.raises(SpecError, match="found nothing"):
        acquire(picture(), parse("red -red"), Colours(), sigma=0.1, on_empty="error")


@pytest.mark.parametrize("tau", [0.0, 1.0, -1.0, float("nan")])
def test_tau_out_of_range(tau: float) -> None:
    with pytest.raises(SpecError, match="tau: expected"):
        acquire(picture(), parse("red"), Colours(), sigma=0.1, tau=tau)


@pytest.mark.parametrize("dilation", [-1, 1025])
def test_dilation_out_of_range(dilation: int) -> None:
    with pytest.raises(SpecError, match="dilation: expected 0 to 1024"):
        acquire(picture(), parse("red"), Colours(), sigma=0.1, dilation=dilation)


def test_faint_parts_belong_to_what_was_found_and_faint_things_are_not_found() -> None:
    similarity = np.array(
        [
            [0.9, 0.4, 0.0, 0.4, 0.4],
            [0.4, 0.0, 0.0, 0.0, 0.4],
            [0.0, 0.4, 0.2, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.8],
        ],
        np.float32,
    )
    found = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]], np.bool_)
    np.testing.assert_array_equal(select(similarity, 0.7, 0.35), found)
    np.testing.assert_array_equal(select(similarity, 0.7, 0.7), similarity >= 0.7)
    assert not select(similarity, 0.95, 0.1).any()
