"""Levels: the quality of each latent of a picture, and the section of a file that stores them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.adaptive import BitReader, Bits, BitWriter, Chances
from vcm.codec.format.constants import QUALITY_MIN, QUALITY_STEPS
from vcm.container.varint import read_varint, varint
from vcm.errors import BitstreamError

MOST: Final = 16  # levels of a picture, at most
DIGITS: Final = 4  # bits of a level's number
# Contexts of the bit "the level is this neighbour's": which of the three neighbours are alike, how
# many of them have level 0, and which one is compared.
CONTEXTS: Final = 8 * 4 * 3
Index = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LevelMap:
    """The level of each latent, and the quality of each level.

    Attributes:
        qualities: in hundredths, the best first, each worse than the one before: 1 to 16 of them,
            from -14000 to 10000.
        index: (h, w) uint8, the level of each latent: an index into `qualities`.
    """

    qualities: tuple[int, ...]
    index: Index

    def __post_init__(self) -> None:
        q = self.qualities
        assert 1 <= len(q) <= MOST and q[-1] >= QUALITY_MIN and q[0] <= QUALITY_STEPS, q
        assert all(a > b for a, b in zip(q, q[1:], strict=False)), q
        assert self.index.dtype == np.uint8 and self.index.ndim == 2, self.index.dtype
        assert self.index.max(initial=0) < len(q), (self.index.max(), q)

    @classmethod
    def of(cls, hundredths: NDArray[np.int64]) -> "LevelMap":
        """From the quality of each latent: (h, w), with at most 16 different values."""
        found, place = np.unique(hundredths, return_inverse=True)  # the lowest first
        index = (len(found) - 1 - place).astype(np.uint8).reshape(hundredths.shape)
        return cls(tuple(map(int, found[::-1])), index)

    @property
    def hundredths(self) -> NDArray[np.int32]:
        """The quality of each latent: (h, w)."""
        values: NDArray[np.int32] = np.array(self.qualities, np.int32)[self.index]
        return values


def pack(levels: LevelMap, quality: int) -> bytes:
    """The section of a map; empty if its only level has the file's quality.

    Args:
        quality: of the file, in hundredths; no level is better.
    """
    q = levels.qualities
    if q == (quality,):
        return b""
    steps = (quality - q[0], *(a - b for a, b in zip(q, q[1:], strict=False)))
    head = bytes([len(q) - 1]) + b"".join(map(varint, steps))
    return head + _coded(levels.index, len(q))


def unpack(data: bytes, quality: int, h: int, w: int) -> LevelMap | None:
    """The map in a section; None if the section is empty.

    Args:
        quality: of the file, in hundredths.
        h, w: of its latent.

    Raises:
        BitstreamError: if the section cannot belong to such a picture.
    """
    if not data:
        return None
    count, at, q = data[0] + 1, 1, quality
    if count > MOST:
        raise BitstreamError(f"section map: expected at most {MOST} levels, got {count}")
    qualities = []
    for number in range(count):
        step, at = read_varint(data, at)
        if number and not step:
            raise BitstreamError("section map: expected levels that differ")
        q -= step
        qualities.append(q)
    if q < QUALITY_MIN or qualities == [quality]:
        raise BitstreamError(f"section map: expected qualities from {QUALITY_MIN} on, got {q}")
    return LevelMap(tuple(qualities), _decoded(data[at:], count, h, w))


def _coded(index: Index, count: int) -> bytes:
    if count == 1:
        return b""
    writer = BitWriter()
    _walk(writer, index, count)
    return writer.data()


def _decoded(data: bytes, count: int, h: int, w: int) -> Index:
    if count == 1:
        if data:
            raise BitstreamError("section map: longer than its single level")
        return np.zeros((h, w), np.uint8)
    reader = BitReader(data)
    index = _walk(reader, np.zeros((h, w), np.uint8), count)
    if reader.position < len(data) or data[-1:] == b"\0":
        raise BitstreamError("section map: longer than its levels")
    return index


def _walk(bits: Bits, index: Index, count: int) -> Index:
    """All levels row by row, written to or read from `bits`, whichever it does.

    A level is coded as the first of its neighbours that has it: left, above, above right; if none
    has, as its number. Neighbours outside the picture count as level 0.
    """
    same, number = Chances(CONTEXTS), Chances(2**DIGITS)
    rows: list[list[int]] = index.tolist()
    above = [0] * (index.shape[1] + 1)
    for y, row in enumerate(rows):
        left = 0
        for x, level in enumerate(row):
            left = row[x] = _level(bits, level, (left, above[x], above[x + 1]), count, same, number)
        above = [*row, 0]
        rows[y] = row
    return np.array(rows, np.uint8)


def _level(
    bits: Bits,
    level: int,
    around: tuple[int, int, int],
    count: int,
    same: Chances,
    number: Chances,
) -> int:
    """One level: `level` when writing, the one that was read when reading."""
    a, b, c = around
    alike = (a == b) + 2 * (b == c) + 4 * (a == c)
    context = 3 * (4 * alike + around.count(0))
    tried: list[int] = []
    for place, neighbour in enumerate(around):
        if neighbour in tried:
            continue
        if len(tried) == count - 1:  # all others are ruled out
            return neighbour
        if bits.code(level == neighbour, same, context + place):
            return neighbour
        tried.append(neighbour)
    left = [n for n in range(count) if n not in tried]
    if len(left) == 1:
        return left[0]
    node, found = 1, 0
    for shift in reversed(range(DIGITS)):
        bit = bits.code(bool(level >> shift & 1), number, node)
        node, found = 2 * node + bit, 2 * found + bit
    if found not in left:
        raise BitstreamError("section map: not made by an encoder of this format")
    return found
