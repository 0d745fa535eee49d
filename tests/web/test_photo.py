"""The first tab: what it takes from a request, and what its places show."""

import math

import numpy as np
import pytest

from vcm.errors import SpecError
from vcm.web.studio import Comparison, Rendition

pytest.importorskip("gradio", reason="needs: pip install 'vcm[web]'")
from vcm.web import photo  # noqa: E402 - it needs gradio


def test_a_request_becomes_a_choice():
    choice = photo.chosen("cup", 0.1, 0.5, 7, 30, 2000.0)
    assert choice == photo.Choice("cup", 0.1, 0.5, 30, 2000, True)
    assert choice.closely is True  # 7 would be an index of nothing
    assert photo.chosen(None, 0.1, 0.5, False, 30, None) == photo.Choice("", 0.1, 0.5, 30)


@pytest.mark.parametrize("value", [None, "30", [30], math.nan, math.inf])
@pytest.mark.parametrize("name", ["sigma", "tau", "quality"])
def test_what_is_no_number_is_named(name, value):
    numbers = {"sigma": 0.1, "tau": 0.5, "quality": 30, "size": 0, name: value}
    with pytest.raises(SpecError, match=f"^{name}: expected a number"):
        photo.chosen("cup", closely=False, **numbers)


@pytest.mark.parametrize("size", ["30", math.nan, math.inf])
def test_a_size_is_a_number_or_none(size):
    with pytest.raises(SpecError, match="^size: expected a number"):
        photo.chosen("cup", 0.1, 0.5, False, 30, size)


def _comparison(side, times=1.0, decibels=(30.0, 25.0, 26.0)):
    picture = np.zeros((side // 2, side, 3), np.uint8)
    coded = Rendition(b"", picture, ("for the words", 1234, 0.1, *decibels))
    return Comparison(picture, coded, coded, picture, [], (picture, picture), times)


def test_what_is_shown_is_small_enough_to_move_a_slider(tmp_path):
    _, both, _, *others = photo._values(_comparison(3000), tmp_path)
    assert {p.shape for p in (*both["value"], *others)} == {(800, 1600, 3)}
    _, both, _, *others = photo._values(_comparison(300), tmp_path)
    assert {p.shape for p in (*both["value"], *others)} == {(150, 300, 3)}


@pytest.mark.parametrize(
    ("times", "size"), [(1.0, "in as many bytes"), (3.5, "in 3.5 times the bytes")]
)
def test_the_slider_says_how_many_bytes_each_side_has(times, size, tmp_path):
    _, both, *_ = photo._values(_comparison(30, times), tmp_path)
    assert both["label"].endswith(f"right: evenly, {size}")


def test_no_number_is_a_dash(tmp_path):
    table, *_ = photo._values(_comparison(30, decibels=(math.inf, math.nan, 30)), tmp_path)
    assert "| for the words | 1,234 | 0.100 | – | – | 30.0 |" in table
