"""The benchmark measures what it says; the times themselves are nobody's promise here."""

import numpy as np
import pytest

from vcm import image
from vcm.commands import bench
from vcm.errors import SpecError

pytestmark = pytest.mark.slow  # a process for each case


@pytest.mark.parametrize("megapixels", [0.01, 0.135, 2.0])
def test_a_photo_is_enlarged_without_seams(megapixels, cat):
    large = bench.enlarged(cat, megapixels)
    assert large.shape[0] * large.shape[1] == pytest.approx(megapixels * 1e6, rel=0.02)
    rows, columns = min(300, large.shape[0]), min(451, large.shape[1])
    assert np.array_equal(large[:rows, :columns], cat[:rows, :columns])
    if large.shape[0] > 300:  # mirrored: the rows at the seam are equal
        assert np.array_equal(large[300], large[299])


@pytest.mark.parametrize("name", ["vcm", "bmshj2018-hyperprior", "avif"])
def test_a_codec_is_measured(name, cat, tmp_path):
    path = tmp_path / "cat.png"
    image.write(path, cat)
    timed = bench.measure(name, path, 0.02)
    assert timed.encode > 0 and timed.decode > 0 and timed.peak > 20
    assert 100 < timed.bytes < 0.02e6 * 3


def test_words_are_found_in_the_enlarged_photo(photos, tmp_path):
    path = tmp_path / "person.png"
    image.write(path, photos["person"])
    even, steered = (bench.measure(name, path, 0.3) for name in ("vcm", bench.WITH_WORDS))
    assert steered.bytes < 0.9 * even.bytes
    with pytest.raises(SpecError, match="found nothing that matches 'zebra'"):
        bench.run(path, (0.1,), (bench.WITH_WORDS,), "zebra")


def test_a_codec_that_fails_or_is_killed_does_not_end_the_others(
    cat, tmp_path, monkeypatch, caplog
):
    path = tmp_path / "cat.png"
    image.write(path, cat)
    monkeypatch.setattr(bench.sys, "executable", "/bin/false")  # ends without a word
    assert list(bench.run(path, (0.01,), ("avif", "vvenc"))) == []
    assert [r.message.partition(":")[2] for r in caplog.records] == [
        " avif: ended with 1; out of memory?",
        " vvenc: ended with 1; out of memory?",
    ]


def test_the_peak_is_the_process_s_own(cat, tmp_path):
    path = tmp_path / "cat.png"
    image.write(path, cat)
    held = np.ones(600 * 2**20, np.uint8)  # of this process, the one that starts the other
    (timed,) = bench.run(path, (0.01,), ("avif",))
    assert held[-1] and 20 < timed.peak < 600


def test_the_table_compares_with_the_first_codec_of_a_size(cat, tmp_path):
    path = tmp_path / "cat.png"
    image.write(path, cat)
    timed = list(bench.run(path, (0.01, 0.02), ("avif", "x265-444")))
    assert [(t.name, t.megapixels) for t in timed] == [
        (name, size) for size in (0.01, 0.02) for name in ("avif", "x265-444")
    ]
    lines = list(bench.table(iter(timed)))
    assert len(lines) == 6
    for line, slower in ((2, 1.0), (4, 1.0), (5, timed[3].decode / timed[2].decode)):
        assert float(lines[line].split()[-1]) == pytest.approx(slower, abs=0.006)
