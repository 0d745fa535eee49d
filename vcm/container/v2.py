"""Version 2 of the file: a short header, the sections that are needed, one checksum at the end.

docs/bitstream.md is the normative text.
"""

import zlib
from typing import Final

from vcm.container.fields import truncated
from vcm.container.header import Header
from vcm.container.sections import (
    MAP,
    MAX_BYTES,
    TEXT,
    Bitstream,
    Y,
    Z,
    bodies,
    check_crc,
    check_length,
)
from vcm.container.varint import read_varint, varint
from vcm.errors import BitstreamError

VERSION: Final = 2
START: Final = b"\x89VCM\x02"
FINGERPRINT, CRC = 8, 4  # bytes
UNIT: Final = 4  # latents: a tile's side is a multiple of this
TILE, MORE = 0x3F, 0x80  # bits of the layout byte: a tile's side, sections besides z and y


def pack(stream: Bitstream) -> bytes:
    """The whole file.

    Raises:
        BitstreamError: the file would be longer than `MAX_BYTES`.
    """
    head, bodies = stream.header, stream.sections()
    more = {id_: body for id_, body in sorted(bodies.items()) if id_ not in (Z, Y)}
    if head.tile % UNIT or head.tile > UNIT * TILE:
        raise BitstreamError(
            f"header: expected a tile of 0 to {UNIT * TILE}, a multiple of {UNIT}, got {head.tile}"
        )
    numbers = b"".join(map(varint, (head.height, head.width, head.quality)))
    parts = [START, head.fingerprint, numbers]
    parts.append(bytes([head.tile // UNIT | (MORE if more else 0)]))
    parts += [varint(len(stream.z)), varint(len(stream.y))]
    if more:
        parts.append(bytes([len(more)]))
        parts += [bytes([id_]) + varint(len(body)) for id_, body in more.items()]
    parts += [stream.z, stream.y, *more.values()]
    data = b"".join(parts)
    if len(data) + CRC > MAX_BYTES:
        raise BitstreamError(f"expected a file of at most {MAX_BYTES} bytes, got {len(data) + CRC}")
    return data + zlib.crc32(data).to_bytes(CRC, "little")


def unpack(data: bytes) -> Bitstream:
    """The picture in the bytes of a file that begins as one of this version.

    Raises:
        BitstreamError: if the file is not complete and undamaged.
    """
    at = len(START) + FINGERPRINT
    if len(data) < at:
        raise truncated(len(data), f"at least {at + CRC}")
    fingerprint = data[len(START) : at]
    height, at = read_varint(data, at)
    width, at = read_varint(data, at)
    quality, at = read_varint(data, at)
    layout, at = _byte(data, at)
    lengths = dict.fromkeys((Z, Y), 0)
    for id_ in (Z, Y):
        lengths[id_], at = read_varint(data, at)
    count, at = _byte(data, at) if layout & MORE else (0, at)
    for _ in range(count):
        id_, at = _byte(data, at)
        if id_ <= max(lengths):
            raise BitstreamError("section list: expected ascending ids; the file is damaged")
        lengths[id_], at = read_varint(data, at)
    check_length(data, at + sum(lengths.values()) + CRC)
    check_crc(data[:-CRC], int.from_bytes(data[-CRC:], "little"), "the file")
    found = bodies(data, lengths, at)
    if layout & ~(TILE | MORE) or (layout & MORE and not count) or b"" in _further(found):
        raise BitstreamError("header: invalid layout or an empty section; the file is damaged")
    header = Header(fingerprint, height, width, quality, UNIT * (layout & TILE))
    return Bitstream.of(header, found, VERSION)


def _further(found: dict[int, bytes]) -> tuple[bytes, ...]:
    return tuple(found[id_] for id_ in (TEXT, MAP) if id_ in found)


def _byte(data: bytes, at: int) -> tuple[int, int]:
    """A byte, and the position after it."""
    if at >= len(data):
        raise truncated(len(data), f"at least {at + 1 + CRC}")
    return data[at], at + 1
