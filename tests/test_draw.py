"""What people look at: drawn where it should be, whatever the picture."""

import numpy as np
import pytest

from vcm import draw
from vcm.vision.base import Objects, rle

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


@pytest.mark.parametrize("shape", [(60, 90), (1, 5000), (5000, 3), (40, 40)])
def test_a_picture_within_a_side(shape):
    picture = np.full((*shape, 3), 77, np.uint8)
    small = draw.within(picture, 60)
    assert max(small.shape[:2]) == min(60, max(shape)) and (small == 77).all()
    assert small.dtype == np.uint8 and (small is picture) == (max(shape) <= 60)


def test_degenerate_masks_are_drawn():
    assert np.array_equal(draw.outlined(GREY, _roi()), GREY)
    whole = (draw.outlined(GREY, _roi(True)) == draw.YELLOW).all(2)
    assert whole[0].all() and whole[:, -1].all() and not whole[10:50, 10:80].any()
    pixel = _roi()
    pixel[30, 40] = True
    changed = np.argwhere((draw.outlined(GREY, pixel) != GREY).any(2))
    assert 0 < len(changed) < 100 and np.abs(changed - (30, 40)).max() < 6
    assert draw.grey(pixel).sum() == 3 * 255


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (60, 90)])
def test_zooms_of_degenerate_masks(value, size):
    rows, columns = draw.closest_square(np.full(size, value, np.bool_))
    side = max(1, round(size[0] * 0.33))
    assert 0 <= rows.start < rows.stop <= size[0] and rows.stop - rows.start == side
    assert 0 <= columns.start < columns.stop <= size[1] and columns.stop - columns.start == side


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_pictures_as_thin_as_can_be(size):
    picture, roi = np.full((*size, 3), 90, np.uint8), np.ones(size, np.bool_)
    similarity = np.zeros(size, np.float32)
    boxes = [((0, 0, size[1], size[0]), "all")]
    for shown in (
        draw.outlined(picture, roi),
        draw.heat(picture, similarity),
        draw.boxed(picture, boxes),
    ):
        assert shown.shape == picture.shape and (shown != picture).any()


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


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((1, 1), (120, 120)),
        ((5, 700), (1, 120)),
        ((1, 65_535), (1, 120)),
        ((60, 40), (180, 120)),
        ((300, 40), (240, 32)),
        ((65_535, 1), (240, 1)),
    ],
)
def test_captions_go_below_any_picture(size, shape):
    picture = np.full((*size, 3), 77, np.uint8)
    height, width = shape
    shown = draw.captioned(picture, ["one", "two"], 120)
    assert shown.shape[1] == 120 and height + 26 < shown.shape[0] < height + 60
    assert (shown[:height, :width] == 77).all() and (shown[:height, width:] == 255).all()
    assert (shown[height:] < 100).any()  # ink


def test_a_long_caption_takes_more_lines():
    one, many = (draw.captioned(GREY, [text], 120) for text in ("word", "word " * 12))
    assert many.shape[0] > one.shape[0] + 30
    ink = (many[80:] < 100).all(2)
    assert ink[:20].any() and ink[-20:].any() and not ink[:, -2:].any()


def test_a_sheet_holds_its_pictures():
    sheet = draw.sheet([[GREY, GREY[:20]], [GREY[:, :10]]], gap=5)
    assert sheet.shape == (5 + 60 + 5 + 60 + 5, 5 + 90 + 5 + 90 + 5, 3)
    assert (sheet[5:65, 5:95] == 128).all() and (sheet[5:25, 100:190] == 128).all()
    assert (sheet[26:65, 100:190] == 255).all()


def test_classes_are_tinted_and_named(cat):
    labels = np.zeros(cat.shape[:2], np.uint8)
    labels[100:200, 100:300] = 2
    drawn = draw.classes(cat, labels, ("background", "dog", "cat"))
    assert drawn.shape == cat.shape
    assert np.array_equal(drawn[:90], cat[:90]) and (drawn[150, 200] != cat[150, 200]).any()
    assert not np.array_equal(drawn[-20:, :40], cat[-20:, :40])  # the legend


def test_instances_are_outlined(cat):
    mask = np.zeros(cat.shape[:2], np.bool_)
    mask[100:200, 100:300] = True
    box = np.array([[100, 100, 300, 200]], np.float32)
    found = Objects(box, np.array([0.9], np.float32), np.zeros(1, np.int64), [rle(mask)])
    drawn = draw.instances(cat, found)
    assert (drawn[100, 150:250] == draw.YELLOW).all() and np.array_equal(
        drawn[150, 200], cat[150, 200]
    )
    assert np.array_equal(draw.instances(cat, found, 0.95), cat)


def test_low_labels_are_at_the_lower_edge():
    box = [((10, 5, 80, 55), "word")]
    high, low = (draw.boxed(GREY, box, low=low) for low in (False, True))
    ink = [(picture == draw.INK).all(2) for picture in (high, low)]
    assert ink[0][:25].any() and not ink[0][30:].any()
    assert ink[1][35:].any() and not ink[1][:30].any()
