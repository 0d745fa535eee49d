"""The range coder as docs/bitstream.md describes it, in plain integers, beside the library."""

import numpy as np

from vcm.codec.coder import Coder
from vcm.codec.tables import gaussian_tables

TOP = 2**64 - 1


class ByTheText:
    """Section 3.2, word by word."""

    def __init__(self, data: bytes):
        self.words = [int(word) for word in np.frombuffer(data, "<u4")]
        self.lower, self.range = 0, TOP
        self.point = self.word() << 32 | self.word()

    def word(self) -> int:
        return self.words.pop(0) if self.words else 0

    def symbol(self, left: list[int]) -> int:
        scale = self.range >> 24
        share = (self.point - self.lower) % 2**64 // scale
        assert share < 2**24
        entry = next(i for i in range(len(left) - 1) if left[i] <= share < left[i + 1])
        self.lower = (self.lower + scale * left[entry]) % 2**64
        self.range = scale * (left[entry + 1] - left[entry])
        while self.range < 2**32:
            self.lower, self.range = (self.lower << 32) % 2**64, self.range << 32
            self.point = (self.point << 32 | self.word()) % 2**64
        return entry


def test_a_string_is_read_by_the_text_alone():
    rng = np.random.default_rng(0)
    table = gaussian_tables()
    rows = rng.integers(0, 64, 400).astype(np.uint8)
    symbols = np.round(rng.normal(0, 1 + rows)).astype(np.int16)
    symbols[::40] = rng.integers(-32_767, 32_767, 10)  # escapes
    writer = Coder(table).writer()
    writer.write(symbols, rows)
    reader = ByTheText(writer.data())
    found, escaped = np.zeros(len(rows), int), []
    for i in sorted(range(len(rows)), key=lambda i: rows[i]):  # stable
        n = int(table.length[rows[i]]) - 1
        cdf = table.cdf[rows[i], : n + 1].tolist()
        left = [k + (cdf[k] * (2**24 - n) >> 16) for k in range(n)] + [2**24]
        entry = reader.symbol(left)
        found[i] = entry + int(table.offset[rows[i]])
        escaped += [i] if entry == n - 1 else []
    assert len(escaped) >= 8
    for i in sorted(escaped):
        found[i] = reader.symbol([256 * v for v in range(2**16 + 1)]) - 2**15
    assert np.array_equal(found, symbols)
