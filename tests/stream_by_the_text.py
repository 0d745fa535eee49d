"""A reader of .vcms streams that follows docs/bitstream.md, section 5, beside the library."""

import zlib
from fractions import Fraction
from typing import NamedTuple

from container_by_the_text import number


class Told(NamedTuple):
    """What a stream says: seconds, quality, z, map and y of each frame; None: it is lost."""

    size: tuple[int, int]
    text: bytes | None
    seconds: list[Fraction]
    frames: list[tuple[int, bytes, bytes, bytes] | None]


def checked(data: bytes, start: int, end: int) -> None:
    assert zlib.crc32(data[start : end - 4]) == int.from_bytes(data[end - 4 : end], "little")


def signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = number(data, at)
    return (value >> 1) ^ -(value & 1), at


def read(data: bytes) -> Told:
    """Sections 5.1 to 5.3, for streams that are whole; by the index."""
    assert data[:5] == b"\x89VCS\x01" and data[-4:] == b"VCSI"
    length, at = number(data, 5)
    end = at + length
    checked(data, 0, end + 4)
    at += 8  # the fingerprint
    values = []
    for i in range(8):
        value, at = (data[at], at + 1) if i == 2 else number(data, at)
        values.append(value)
    height, width, _, up, down, step, *_ = values
    text = None
    while at < end:
        id_, (size, at) = data[at], number(data, at + 1)
        text, at = data[at : at + size] if id_ == 3 else text, at + size
    index = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    checked(data, index, len(data) - 8)
    assert data[index] == ord("I")
    _, here = number(data, index + 1)
    last, here = number(data, here)
    count, here = number(data, here)
    seconds, frames, place = [], [], end + 4
    for i in range(count):
        size, here = number(data, here)
        shift, here = signed(data, here)
        seconds.append((i * step + shift) * Fraction(up, down))
        frames.append(frame(data, place, place + size, i, shift) if size else None)
        place += size
    assert place == index
    return Told((height, width), text, [*seconds, last * Fraction(up, down)], frames)


def frame(data: bytes, at: int, end: int, which: int, when: int) -> tuple[int, bytes, bytes, bytes]:
    """Section 5.2."""
    checked(data, at, end)
    assert data[at] == ord("F")
    length, at = number(data, at + 1)
    assert at + length + 4 == end
    found, at = number(data, at)
    shift, at = signed(data, at)
    assert (found, shift) == (which, when)
    quality, at = number(data, at)
    z, at = number(data, at)
    count, at = data[at], at + 1
    sizes = {}
    for _ in range(count):
        id_ = data[at]
        sizes[id_], at = number(data, at + 1)
    bodies = {}
    for id_, size in {1: z, **sizes}.items():
        bodies[id_], at = data[at : at + size], at + size
    return quality, bodies[1], bodies.get(4, b""), data[at : end - 4]
