"""Symbols to bytes and back by a range coder over integer tables.

The coder is constriction's (Bamler 2022, arXiv:2201.01741): it is exact, takes arrays, and never
reads past the end of its data. CompressAI's rANS takes Python lists, a symbol at a time, and does
read past the end of a forged string.

The symbols of a part are sorted by table row (stably), so that each row takes one call. A symbol
outside its row's range is coded as the row's last entry, the escape, and its value follows after
the part, in 16 bits.
"""

import constriction
import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.tables import PRECISION, Ints, Tables
from vcm.errors import BitstreamError

Symbols = NDArray[np.int16]
Rows = NDArray[np.uint8]
SHARES = 24  # bits of the range coder's probabilities
SLACK = 96  # bits that symbols may hold beyond their string's: rounding, and zeros left out
# Bits by which a string may be longer than its symbols' information: for its last words, and for
# what the coder may lose on each symbol.
REST, LOSS = 128, 0.006
_WORD = 32  # bits of the range coder's words; its state has two words
_RAW = 2**16  # number of values of an escaped symbol, from -2^15 on


def boundaries(cdf: Ints) -> NDArray[np.int64]:
    """The cumulative shares that constriction gives n frequencies: (n + 1,), 0 to 2^24.

    Every symbol gets at least 1 of 2^24; the rest is divided by frequency and rounded down.

    Args:
        cdf: (n + 1,) integers from 0 to 2^16.
    """
    n = len(cdf) - 1
    left: NDArray[np.int64] = np.arange(n + 1) + (
        cdf.astype(np.int64) * (2**SHARES - n) >> PRECISION
    )
    left[n] = 2**SHARES
    return left


class Coder:
    """Coding tables in the form that the range coder needs.

    Args:
        silent: rows below this one are not coded: their symbols are 0.
    """

    def __init__(self, tables: Tables, silent: int = 0):
        self._made_of = tables, silent
        self.silent = silent
        self.length, self.offset, cdf = tables.length, tables.offset, tables.cdf
        self.frequency: Ints = np.diff(cdf, axis=1)
        shares = [np.diff(boundaries(row[:n])) for row, n in zip(cdf, self.length, strict=True)]
        # in bits; entries beyond a row's length are never used
        self.information = np.zeros(self.frequency.shape)  # float64: large pictures sum up many
        for target, share in zip(self.information, shares, strict=True):
            target[: len(share)] = SHARES - np.log2(share)
        self.least = float(sum(SHARES - np.log2(share.max()) for share in shares[silent:]))
        categorical = constriction.stream.model.Categorical
        self.models = [
            categorical(row[: n - 1] / 2.0**PRECISION, perfect=False)
            for row, n in zip(self.frequency, self.length, strict=True)
        ]
        self.raw = constriction.stream.model.Uniform(_RAW)

    def __reduce__(self) -> tuple[type["Coder"], tuple[Tables, int]]:
        """Pickled and copied as its tables: constriction's models cannot be pickled."""
        return type(self), self._made_of

    def bits(self, symbols: Symbols, rows: Rows) -> float:
        """Information of symbols by the tables, escapes with their 16 bits."""
        coded = rows >= self.silent
        symbols, rows = symbols[coded], rows[coded]
        entry, escaped = self.entries(symbols, rows)
        return float(self.information[rows, entry].sum() + 16 * escaped.sum())

    def bits_of_each(self, symbols: Symbols, rows: Rows) -> NDArray[np.float32]:
        """Information of each symbol by the tables, 0 where nothing is coded: (n,) float32."""
        entry, escaped = self.entries(symbols, rows)
        each = (self.information[rows, entry] + 16 * escaped) * (rows >= self.silent)
        return each.astype(np.float32)

    def count(self, symbols: Symbols, rows: Rows, counts: NDArray[np.int64]) -> None:
        """Add to `counts`, (rows, entries), how often each entry of each row is used."""
        coded = rows >= self.silent
        symbols, rows = symbols[coded], rows[coded]
        entry, _ = self.entries(symbols, rows)
        np.add.at(counts, (rows, entry), 1)

    def writer(self) -> "Writer":
        """A writer of one string."""
        return Writer(self)

    def reader(self, data: bytes) -> "Reader":
        """A reader of one string."""
        return Reader(self, data)

    def entries(self, symbols: Symbols, rows: Rows) -> tuple[Ints, NDArray[np.bool_]]:
        """Each symbol's position in its row (the last one for escapes), and which are escapes."""
        last: Ints = self.length[rows] - 2  # int32, as are the results
        entry = symbols - self.offset[rows]
        escaped = (entry < 0) | (entry >= last)
        return np.where(escaped, last, entry).astype(np.int32), escaped


class Writer:
    """Writes symbols, part by part."""

    def __init__(self, coder: Coder):
        self._coder = coder
        self._encoder = constriction.stream.queue.RangeEncoder()

    def write(self, symbols: Symbols, rows: Rows) -> None:
        """Code a part: symbols within +-32767 and their table rows, each (n,)."""
        order, runs = _runs(rows, self._coder.silent)
        symbols = symbols[order]
        entry, escaped = self._coder.entries(symbols, rows[order])
        for row, start, end in runs:
            self._encoder.encode(entry[start:end], self._coder.models[row])
        if escaped.any():
            first = np.argsort(order[escaped])
            raw = symbols[escaped][first].astype(np.int32) + _RAW // 2
            self._encoder.encode(raw, self._coder.raw)

    def data(self) -> bytes:
        """The string of all parts written: the range coder's words, the highest byte first.

        Several last words would decode to the same symbols. The one that ends with the most zero
        bytes is chosen, and these bytes are left out.
        """
        words = self._encoder.get_compressed()
        data: bytes = words.astype(">u4").tobytes()
        position, (low, span) = self._encoder.pos()
        if len(words) != position + 1:  # two words were needed to end it
            return data
        for zeros in (_WORD, 24, 16, 8):
            unit = 2 ** (_WORD + zeros)
            value = -(-low // unit) * unit
            if value < min(low + span, 2 ** (2 * _WORD)):
                last: bytes = int(value >> _WORD).to_bytes(4, "big")
                return data[:-4] + last[: 4 - zeros // 8]
        return data


class Reader:
    """Reads symbols, part by part."""

    def __init__(self, coder: Coder, data: bytes):
        self._coder = coder
        words = np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.uint32)
        self._decoder = constriction.stream.queue.RangeDecoder(words)
        self._left = 8.0 * len(data) + SLACK
        self._count = 0

    def check_room(self, count: int) -> None:
        """Refuse a string too short for `count` symbols of each row, before memory is allocated.

        Raises:
            BitstreamError: if even the likeliest symbols would hold more information.
        """
        if count * self._coder.least > self._left:
            raise BitstreamError(f"string: too short for {count} symbols of each table row")

    def read(self, rows: Rows) -> Symbols:
        """The next part's symbols, one for each table row: (n,) int16.

        Raises:
            BitstreamError: if the string was not made with these tables, or ends before the part
                does (the range coder reads zeros after the end, which decode to some symbols).
        """
        c, symbols = self._coder, np.zeros(len(rows), np.int16)
        order, runs = _runs(rows, c.silent)
        rows, entry = rows[order], np.empty(len(order), np.int32)
        try:
            for row, start, end in runs:
                entry[start:end] = self._decoder.decode(c.models[row], end - start)
                self._spend(float(c.information[row, entry[start:end]].sum()))
            value = entry + c.offset[rows]
            escaped = np.flatnonzero(entry == c.length[rows] - 2)
            if len(escaped):
                first = escaped[np.argsort(order[escaped])]
                value[first] = self._decoder.decode(c.raw, len(first)) - _RAW // 2
                self._spend(16.0 * len(first))
                self._count += len(first)
        except AssertionError as error:  # what constriction raises for invalid data
            raise BitstreamError(f"string: not made by this model ({error})") from error
        symbols[order] = value
        self._count += len(order)
        return symbols

    def end(self) -> None:
        """To be called after the last part.

        Raises:
            BitstreamError: if the string is longer than the symbols that were read: it was made
                with other tables, or the table rows were wrong.
        """
        if self._left > SLACK + REST + LOSS * self._count:
            raise BitstreamError("string: not made by this model: longer than its symbols")

    def _spend(self, bits: float) -> None:
        self._left -= bits
        if self._left < 0:
            raise BitstreamError("string: it ends before its symbols do; the file is damaged")


def _runs(rows: Rows, silent: int) -> tuple[NDArray[np.intp], list[tuple[int, int, int]]]:
    """The coded symbols' positions, stably sorted by row; (row, start, end) of each run in them."""
    order = np.argsort(rows, kind="stable")  # numpy sorts bytes by counting
    counts = np.bincount(rows)
    counts[:silent] = 0
    ends = np.cumsum(counts)
    found = np.flatnonzero(counts)
    coded = order[len(order) - counts.sum() :]
    return coded, [(int(r), int(ends[r] - counts[r]), int(ends[r])) for r in found]
