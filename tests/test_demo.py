"""`vcm demo`, the first thing that people run, whole."""

import re

import numpy as np
import pytest

from vcm import image, pipeline
from vcm.codec.api import Codec
from vcm.commands import demo

pytestmark = pytest.mark.slow  # codes three photos in two processes

pytest.importorskip("skimage", reason="needs: pip install 'vcm[demo]'")
LINE = re.compile(r"(cat|astronaut|coffee) +\w+ +(1|0\.1) +(\d+) +[\d.]+ +[\d.]+ +([\d.]+) ")


def test_the_demo_shows_what_the_words_are_good_for(tmp_path):
    told = list(demo.run(tmp_path, None, "base"))
    rows = [match.groups() for match in map(LINE.match, told) if match]
    assert [row[:2] for row in rows] == [
        (name, sigma) for name, _, _ in demo.photos() for sigma in ("1", "0.1")
    ]
    for even, roi in zip(rows[::2], rows[1::2], strict=True):
        assert abs(int(roi[2]) / int(even[2]) - 1) < 0.03
        assert float(roi[3]) > float(even[3])
    decoded = pipeline.decode((tmp_path / "demo.vcm").read_bytes(), Codec.load())
    assert np.array_equal(decoded, image.read(tmp_path / "cat-roi.png"))
    assert image.read(tmp_path / "demo.png").shape[0] > 1000
