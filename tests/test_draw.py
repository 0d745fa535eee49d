"""What people look at: drawn where it should be, whatever the picture."""

import numpy as np
import pytest

from vcm import draw

GREY = np.full((60, 90, 3), 128, np.uint8)


def _roi(value=False):
    return np.full((60, 90), value, np.bool_)


def test_outline_runs_along_the_border_alone():
    roi = _roi()
    roi[20:40, 30:60] = True
    changed = (draw.outlined(GREY, roi) != GREY).any(2)
    assert changed[20, 30:60].all() and changed[20:40, 30].all()
    assert not changed[26:34, 36:54].any()  # inside
    assert not changed[:12].any() and not changed[:, 70:].any()  # far outside
    assert (GREY == 128).all()  # the picture itself is untouched


@pytest.mark.parametrize("value", [False, True])
def test_degenerate_masks_are_drawn(value):
    assert draw.outlined(GREY, _roi(value)).shape == GREY.shape
    window = GREY[draw.closest_square(_roi(value))]
    assert window.shape == (20, 20, 3)


def test_closest_square_is_at_the_roi():
    roi = _roi()
    roi[50, 80] = True
    rows, columns = draw.closest_square(roi)
    assert rows.start <= 50 < rows.stop <= 60 and columns.start <= 80 < columns.stop <= 90


def test_heat_is_warm_where_similar():
    similarity = np.zeros((60, 90), np.float32)
    similarity[:, 45:] = 0.9
    red, _, blue = np.moveaxis(draw.heat(GREY, similarity).astype(int), 2, 0)
    assert (red[:, 50:] > blue[:, 50:] + 50).all() and (red[:, :40] <= blue[:, :40] + 50).all()


def test_boxes_and_labels():
    drawn = draw.boxed(GREY, [((10.0, 10.0, 70.0, 50.0), "cat 0.9")])
    assert (drawn[10, 12:68] == draw.YELLOW).all() and (drawn[49:51, 12:68] != 128).any()
    assert (drawn[30, 40] == 128).all()
    assert np.array_equal(draw.boxed(GREY, []), GREY)


@pytest.mark.parametrize("size", [(1, 1), (5, 700), (300, 40)])
def test_captions_go_below_any_picture(size):
    picture = np.full((*size, 3), 77, np.uint8)
    shown = draw.captioned(picture, ["one", "two"], 120)
    height = max(1, round(size[0] * 120 / size[1]))
    assert shown.shape[1] == 120 and shown.shape[0] > height + 26
    assert (shown[:height] == 77).all()
    assert (shown[height:] < 100).any()  # ink


def test_a_sheet_holds_its_pictures():
    sheet = draw.sheet([[GREY, GREY[:20]], [GREY[:, :10]]], gap=5)
    assert sheet.shape == (5 + 60 + 5 + 60 + 5, 5 + 90 + 5 + 90 + 5, 3)
    assert (sheet[5:65, 5:95] == 128).all() and (sheet[5:25, 100:190] == 128).all()
    assert (sheet[26:65, 100:190] == 255).all()
