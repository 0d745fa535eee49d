"""Integers in as many bytes as they need: seven bits a byte, the lowest first (LEB128)."""

from mmap import mmap
from typing import Final

from vcm.errors import BitstreamError

BYTES: Final = 5  # at most: more than 32 bits are never needed


def varint(value: int) -> bytes:
    """The bytes of an integer from 0 on: one below 128, two below 16384, and so on."""
    assert 0 <= value < 2 ** (7 * BYTES), value
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def read_varint(data: "bytes | mmap", at: int) -> tuple[int, int]:
    """The integer at a position, and the position after it.

    Raises:
        BitstreamError: if the data end within it, or it takes more bytes than it needs.
    """
    value = 0
    for number in range(BYTES):
        if at >= len(data):
            raise BitstreamError("the file is truncated within a number; copy or download it again")
        byte = data[at]
        value |= (byte & 127) << 7 * number
        at += 1
        if byte < 128:
            if number and not byte:
                break
            return value, at
    raise BitstreamError("a number takes more bytes than it needs: the file is damaged")
