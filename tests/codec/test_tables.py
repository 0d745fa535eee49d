"""Coding tables and the coder."""

import constriction
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vcm.codec.format.coder import Coder, boundaries
from vcm.codec.models.rate import Rate
from vcm.codec.models.tabulate import gaussian_tables
from vcm.codec.nets.entropy import scale_table
from vcm.errors import BitstreamError

TABLES = {"y": gaussian_tables(), "z": Rate(6).tables()["z"]}


def test_rows_are_distributions():
    for cdf, length, _ in (t for table in TABLES.values() for t in zip(*table, strict=True)):
        row = cdf[:length]
        assert row[0] == 0 and row[-1] == 2**16 and (np.diff(row) > 0).all()


def test_gaussian_rows_have_their_scale():
    table = TABLES["y"]
    for scale, cdf, length, offset in zip(scale_table(), *table, strict=True):
        p = np.diff(cdf[:length])[:-1] / 2**16
        k = np.arange(len(p)) + offset
        variance = (p * k**2).sum() - (p * k).sum() ** 2
        rounded = scale**2 + 1 / 12  # of a Gaussian rounded to integers, once it is wide
        if scale > 0.5:
            assert abs(variance / rounded - 1) < 0.03


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(-32_767, 32_767), st.integers(0, 63)), max_size=200))
def test_any_symbols_come_back(pairs):
    symbols = np.array([p[0] for p in pairs], np.int16)
    rows = np.array([p[1] for p in pairs], np.uint8)
    coder = Coder(TABLES["y"])
    half = len(pairs) // 2
    writer = coder.writer()
    writer.write(symbols[:half], rows[:half])
    writer.write(symbols[half:], rows[half:])
    reader = coder.reader(writer.data())
    back = np.concatenate([reader.read(rows[:half]), reader.read(rows[half:])])
    assert np.array_equal(back, symbols)


def test_a_string_longer_or_much_shorter_than_its_symbols_is_refused():
    rows = np.random.default_rng(0).integers(30, 64, 2_000).astype(np.uint8)
    coder = Coder(TABLES["y"])
    writer = coder.writer()
    writer.write(np.zeros(len(rows), np.int16), rows)
    honest, longer = coder.reader(writer.data()), coder.reader(writer.data() + bytes(64))
    for reader in (honest, longer):
        reader.check_room(20)
        assert not reader.read(rows).any()
    honest.end()
    with pytest.raises(BitstreamError, match="longer than its symbols"):
        longer.end()
    with pytest.raises(BitstreamError, match="too short for 1000000 symbols"):
        coder.reader(writer.data()).check_room(1_000_000)


def test_string_is_as_long_as_its_information():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 64, 100_000).astype(np.uint8)
    scales = scale_table().numpy()[rows]
    symbols = np.round(rng.normal(0, scales)).astype(np.int16)
    coder = Coder(TABLES["y"])
    writer = coder.writer()
    writer.write(symbols, rows)
    bits = 8 * len(writer.data())
    entropy = coder.bits(symbols, rows)
    assert entropy <= bits + 1 and bits <= entropy * 1.002 + 64
    # and the information itself is that of the Gaussians it was drawn from
    normal = torch.distributions.Normal(0, torch.from_numpy(scales))
    k = torch.from_numpy(symbols)
    exact = -(normal.cdf(k + 0.5) - normal.cdf(k - 0.5)).clamp(min=1e-9).log2().sum().item()
    assert abs(entropy / exact - 1) < 0.01


def test_boundaries_are_those_of_the_range_coder():
    """A string whose first 64 bits say where in [0, 1) it lies, at every boundary of every row."""
    table, coder = TABLES["y"], Coder(TABLES["y"])
    for row, n in enumerate(table.length.tolist()):
        left = boundaries(table.cdf[row, :n])
        assert left[0] == 0 and left[-1] == 2**24 and (np.diff(left) > 0).all()
        for entry in range(1, n - 1):
            start = int(left[entry]) * ((2**64 - 1) >> 24)
            for point, expected in ((start, entry), (start - 1, entry - 1)):
                words = np.array([point >> 32, point & 0xFFFFFFFF], np.uint32)
                decoder = constriction.stream.queue.RangeDecoder(words)
                assert decoder.decode(coder.models[row]) == expected


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=64), st.integers(0, 300), st.integers(0, 63))
def test_forged_strings_give_wrong_symbols_or_an_error(data, count, row):
    rows = np.full(count, row, np.int32)
    try:
        symbols = Coder(TABLES["y"]).reader(data).read(rows)
    except BitstreamError:
        return
    assert symbols.shape == (count,)


@pytest.mark.parametrize("name", TABLES)
def test_a_string_that_ends_early_is_found(name):
    """Reading beyond the end gives zeros, not an error, by itself."""
    rng = np.random.default_rng(1)
    coder = Coder(TABLES[name])
    rows = rng.integers(0, len(coder.length), 5_000).astype(np.uint8)
    symbols = rng.integers(-3, 4, 5_000).astype(np.int16)
    writer = coder.writer()
    writer.write(symbols, rows)
    data = writer.data()
    assert np.array_equal(coder.reader(data).read(rows), symbols)
    with pytest.raises(BitstreamError):
        coder.reader(data[: len(data) // 8 * 4]).read(rows)
