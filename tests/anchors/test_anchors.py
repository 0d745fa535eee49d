"""Classical codecs: files that decode, rates that grow, an ROI that is obeyed."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm.anchors import ANCHORS
from vcm.anchors.blocks import BLOCK, largest, runs
from vcm.anchors.ffmpeg import LONGEST
from vcm.anchors.qp import QpMap
from vcm.anchors.roi import TwoStreams
from vcm.anchors.video import X265
from vcm.evaluate.codecs import build
from vcm.metrics.distortion import psnr
from vcm.roi.mask import RoiMask


@pytest.fixture(autouse=True)
def _ffmpeg():
    pytest.importorskip("imageio_ffmpeg", reason="needs: pip install 'vcm[anchors]'")


@pytest.fixture(scope="module")
def photo(cat):
    return cat[60:157, 40:181]  # odd sides: 97 x 141


@pytest.mark.parametrize("name", ANCHORS)
def test_more_bits_more_quality(name, photo):
    anchor = ANCHORS[name]
    few, many = (anchor.encode(photo, anchor.settings[i]) for i in (3, -2))
    assert len(few) < len(many)
    scores = [psnr(photo, anchor.decode(data, 97, 141)) for data in (few, many)]
    assert 20 < scores[0] < scores[1] - 3
    assert scores[1] > 34  # colours that are converted wrongly stay below 32


@pytest.mark.parametrize("name", ANCHORS)
def test_colours_do_not_slip(name, photo):
    """A range or matrix that is off by little moves the mean of a channel by levels."""
    anchor = ANCHORS[name]
    decoded = anchor.decode(anchor.encode(photo, anchor.settings[-1]), 97, 141)
    slip = (decoded.astype(float) - photo).mean((0, 1))
    assert np.abs(slip).max() < 1  # 8 bit chroma: 0.8


@pytest.mark.parametrize(
    "text", ["x265+roi:offset=-8", "x265+roi:offset=-12", "vvenc+blur", "vvenc+flat"]
)
def test_roi_is_worth_more(text, photo):
    anchor = build(text, 1.0, "base")
    roi = np.zeros((97, 141), np.bool_)
    roi[32:96, 32:96] = True
    decoded = anchor.decode(anchor.encode(photo, RoiMask(roi, 1.0, "drawn"), 37), 97, 141)
    plain = ANCHORS["x265-420" if "x265" in text else "vvenc"]
    even = plain.decode(plain.encode(photo, 37), 97, 141)
    inside = psnr(photo, decoded, roi) - psnr(photo, even, roi)
    outside = psnr(photo, decoded, ~roi) - psnr(photo, even, ~roi)
    assert inside > outside + 3


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_runs_cover_the_roi_by_blocks(height, width, seed):
    roi = np.random.default_rng(seed).random((height, width)) < 0.003
    covered = np.zeros_like(roi)
    for x, y, w, h in runs(largest(roi, BLOCK), *roi.shape):
        assert w > 0 and h > 0 and x + w <= width and y + h <= height
        assert x % 16 == y % 16 == 0
        assert not covered[y : y + h, x : x + w].any()
        for top, left in product(range(y, y + h, 16), range(x, x + w, 16)):
            assert roi[top : min(top + 16, y + h), left : min(left + 16, x + w)].any()
        covered[y : y + h, x : x + w] = True
    assert not (roi & ~covered).any()


def test_a_rectangle_is_one_run():
    roi = np.zeros((100, 90), np.bool_)
    roi[20:75, 30:80] = True
    assert list(runs(largest(roi, BLOCK), *roi.shape)) == [(16, 16, 64, 64)]


def test_a_fine_map_of_a_large_picture(rng):
    roi = np.kron(rng.random((120, 160)) < 0.5, np.ones((16, 16), np.bool_))
    picture = np.full((*roi.shape, 3), 128, np.uint8)
    assert 40 * len(list(runs(largest(roi, BLOCK), *roi.shape))) > LONGEST
    anchor = QpMap(-8, X265("yuv420p10le", preset="ultrafast"))
    assert anchor.decode(anchor.encode(picture, roi, 40), *roi.shape).shape == picture.shape


def test_two_streams_of_a_picture_without_an_roi_are_one_coarse_one(photo):
    anchor, nothing = ANCHORS["jpeg"], np.zeros(photo.shape[:2], np.bool_)
    two, setting = TwoStreams(anchor), anchor.settings[-1]
    sizes = [len(two.encode(photo, roi, setting)) for roi in (nothing, ~nothing)]
    assert sizes[0] < 0.8 * sizes[1]
    decoded = two.decode(two.encode(photo, nothing, setting), *photo.shape[:2])
    assert psnr(photo, decoded) > 20
