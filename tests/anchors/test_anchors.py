"""Classical codecs: files that decode, rates that grow, an ROI that is obeyed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm.anchors import ANCHORS, ROI_ANCHORS
from vcm.anchors.roi import runs
from vcm.metrics.distortion import psnr


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


@pytest.mark.parametrize("name", ROI_ANCHORS)
def test_roi_is_worth_more(name, photo):
    anchor = ROI_ANCHORS[name]
    roi = np.zeros((97, 141), np.bool_)
    roi[32:96, 32:96] = True
    decoded = anchor.decode(anchor.encode(photo, roi, 37), 97, 141)
    plain = ANCHORS["x265-420" if "x265" in name else "vvenc"]
    even = plain.decode(plain.encode(photo, 37), 97, 141)
    inside = psnr(photo, decoded, roi) - psnr(photo, even, roi)
    outside = psnr(photo, decoded, ~roi) - psnr(photo, even, ~roi)
    assert inside > outside + 3


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_runs_cover_the_roi_by_blocks(height, width, seed):
    roi = np.random.default_rng(seed).random((height, width)) < 0.003
    covered = np.zeros_like(roi)
    for x, y, w, h in runs(roi):
        assert w > 0 and h > 0 and x + w <= width and y + h <= height
        assert x % 16 == y % 16 == 0
        assert not covered[y : y + h, x : x + w].any()
        for left in range(x, x + w, 16):
            assert roi[y : y + h, left : min(left + 16, x + w)].any()
        covered[y : y + h, x : x + w] = True
    assert not (roi & ~covered).any()
