"""A reader of files that follows docs/bitstream.md, sections 1 and 3.8, beside the library."""

import struct
import zlib

import numpy as np


class Levels:
    """Section 3.8, word by word."""

    def __init__(self, data: bytes, header: int):
        self.data, self.at = data, 1
        self.qualities, last = [], header
        for _ in range(data[0] + 1):
            step, self.at = number(data, self.at)
            last -= step
            self.qualities.append(last)
        self.range, self.code, self.counts = 2**32 - 1, 0, {}
        for _ in range(4):
            self.code = self.code << 8 | self.byte()

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bit(self, *context: object) -> int:
        counts = self.counts.setdefault(context, [1, 1])
        p = min(max(65_536 * counts[0] // sum(counts), 1), 65_535)
        bound = (self.range >> 16) * p
        bit = int(self.code >= bound)
        self.code, self.range = (
            (self.code - bound, self.range - bound) if bit else (self.code, bound)
        )
        while self.range < 2**24:
            self.range, self.code = self.range << 8, self.code << 8 | self.byte()
        counts[bit] += 2
        if sum(counts) > 1024:
            counts[:] = [(n + 1) // 2 for n in counts]
        return bit

    def level(self, a: int, b: int, c: int) -> int:
        left = list(range(len(self.qualities)))
        context = 3 * (4 * ((a == b) + 2 * (b == c) + 4 * (a == c)) + (a, b, c).count(0))
        for i, asked in enumerate((a, b, c)):
            if asked in left and len(left) > 1:
                if self.bit("same", context + i):
                    return asked
                left.remove(asked)
        if len(left) == 1:
            return left[0]
        node = 1
        for _ in range(4):
            node = 2 * node + self.bit("number", node)
        assert node - 16 in left
        return node - 16

    def plane(self, h: int, w: int):
        found = np.zeros((h + 1, w + 2), int)  # with what is beyond
        for y in range(1, h + 1):
            for x in range(1, w + 1):
                found[y, x] = self.level(found[y, x - 1], found[y - 1, x], found[y - 1, x + 1])
        assert self.at >= len(self.data) and self.data[-1]
        return np.array(self.qualities)[found[1:, 1:-1]]


def number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and the position after it."""
    end = next(i for i in range(at, len(data)) if data[i] < 128) + 1
    return sum((byte & 127) << 7 * i for i, byte in enumerate(data[at:end])), end


def version_1(data: bytes):
    """Section 1.2, for files that are whole."""
    _, _, _, fingerprint, height, width, quality, tile, count = struct.unpack_from(
        "<4sBB8sIIHHB", data
    )
    z, y = (struct.unpack_from("<BII", data, 27 + 9 * i)[1] for i in range(2))
    start = 27 + 9 * count + 4
    words = (np.frombuffer(data, "<u4", n // 4, at) for n, at in ((z, start), (y, start + z)))
    strings = [part.astype(">u4").tobytes() for part in words]
    return fingerprint, height, width, quality, tile, *strings, b""


def version_2(data: bytes):
    """Section 1.1, for files that are whole."""
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    at, values, bodies = 13, [], {}
    for _ in range(3):
        value, at = number(data, at)
        values.append(value)
    layout, at = data[at], at + 1
    lengths = {}
    for id_ in (1, 2):
        lengths[id_], at = number(data, at)
    count, at = (data[at], at + 1) if layout & 128 else (0, at)
    for _ in range(count):
        id_ = data[at]
        lengths[id_], at = number(data, at + 1)
    for id_, length in lengths.items():
        bodies[id_], at = data[at : at + length], at + length
    return data[5:13], *values, 4 * (layout & 63), bodies[1], bodies[2], bodies.get(4, b"")
