"""Version 1 of the .vcms stream: a checked header, records of frames, an index, a trailer.

docs/bitstream.md is the normative text. A frame is a picture of version 2 without the fields that
all frames of a stream share.
"""

import zlib
from typing import Final, NamedTuple

from vcm.container import streams, v2
from vcm.container.header import Header
from vcm.container.sections import ANCILLARY, MAP, NAMES, TEXT, Bitstream, Y, Z, check_crc
from vcm.container.streams import MAX_HEAD, MAX_TIME, Data, Slot, StreamHeader
from vcm.container.varint import read_varint, varint
from vcm.errors import BitstreamError

VERSION: Final = 1
START: Final = b"\x89VCS\x01"
FRAME, INDEX = 0x46, 0x49  # first bytes of records: F, I
TRAILER: Final = b"VCSI"  # after the size of the index
CRC, SIZE = 4, 4  # bytes


class FrameHead(NamedTuple):
    """The fields at the beginning of a frame's record.

    Attributes:
        number: of the frame in the stream.
        time: in ticks.
        quality: in hundredths.
        lengths: of the sections by id, in the order of the record.
        start: position of the first section.
        end: position after the record.
    """

    number: int
    time: int
    quality: int
    lengths: dict[int, int]
    start: int
    end: int


def pack_header(header: StreamHeader) -> bytes:
    """The beginning of a stream.

    Raises:
        BitstreamError: if the side of a tile cannot be stored in a file.
    """
    if header.tile % v2.UNIT or header.tile > v2.UNIT * v2.TILE:
        raise BitstreamError(f"header: expected a tile that is a multiple of 4, got {header.tile}")
    tick, aspect = header.tick, header.aspect
    body = header.fingerprint + varint(header.height) + varint(header.width)
    body += bytes([header.tile // v2.UNIT])
    numbers = (tick.numerator, tick.denominator, header.step, aspect.numerator, aspect.denominator)
    body += b"".join(map(varint, numbers))
    if header.text is not None:
        text = header.text.encode()
        body += bytes([TEXT]) + varint(len(text)) + text
    return _checked(START + varint(len(body)) + body)


def unpack_header(data: Data) -> tuple[StreamHeader, int]:
    """What all frames share, and where the first record begins.

    Raises:
        BitstreamError: if the beginning is damaged, or made by a newer program.
    """
    length, at = read_varint(data, len(START))
    end = at + length
    if length > MAX_HEAD:
        raise BitstreamError(f"header: expected at most {MAX_HEAD} bytes, got {length}")
    if len(data) < end + CRC:
        raise BitstreamError(f"the stream ends within its header, after {len(data)} bytes")
    check_crc(data[:end], int.from_bytes(data[end : end + CRC], "little"), "header")
    fingerprint, at = data[at : at + v2.FINGERPRINT], at + v2.FINGERPRINT
    head = data[:end]  # numbers that go on beyond it are refused
    height, at = read_varint(head, at)
    width, at = read_varint(head, at)
    tile, at = byte_at(head, at)
    numbers = []
    for _ in range(5):
        number, at = read_varint(head, at)
        numbers.append(number)
    text = _text(head, at)
    if tile & ~v2.TILE:
        raise BitstreamError("header: invalid layout; the file is damaged")
    fractions = streams.fraction(*numbers[:2]), streams.fraction(*numbers[3:])
    side = v2.UNIT * tile
    header = StreamHeader(fingerprint, height, width, fractions[0], numbers[2], side,
                          fractions[1], text)  # fmt: skip
    return header, end + CRC


def pack_frame(header: StreamHeader, number: int, time: int, picture: Bitstream) -> bytes:
    """The record of a frame."""
    further = {MAP: picture.map} if picture.map else {}
    parts = [varint(number), varint(zigzag(time - number * header.step))]
    parts += [varint(picture.header.quality), varint(len(picture.z)), bytes([len(further)])]
    parts += [bytes([id_]) + varint(len(body)) for id_, body in further.items()]
    body = b"".join([*parts, picture.z, *further.values(), picture.y])
    return _checked(bytes([FRAME]) + varint(len(body)) + body)


def frame_head(data: Data, at: int, header: StreamHeader) -> FrameHead:
    """The fields of the frame record at a position; its checksum is not verified.

    Raises:
        BitstreamError: if there is no frame record.
    """
    kind, at = byte_at(data, at)
    length, at = read_varint(data, at)
    end = at + length
    if kind != FRAME or end + CRC > len(data):
        raise BitstreamError("a frame is damaged or cut off")
    number, at = read_varint(data, at)
    shift, at = read_varint(data, at)
    quality, at = read_varint(data, at)
    lengths: dict[int, int] = {}
    lengths[Z], at = read_varint(data, at)
    count, at = byte_at(data, at)
    for _ in range(count):
        id_, at = byte_at(data, at)
        if id_ <= max(Y, *lengths):
            raise BitstreamError("a frame's sections: expected ascending ids; it is damaged")
        lengths[id_], at = read_varint(data, at)
    lengths[Y] = end - at - sum(lengths.values())
    time = number * header.step + unzigzag(shift)
    if lengths[Y] < 0 or lengths.get(MAP) == 0 or not number <= time < MAX_TIME:
        raise BitstreamError("a frame's lengths or time are wrong; it is damaged")
    return FrameHead(number, time, quality, lengths, at, end + CRC)


def unpack_frame(data: Data, at: int, header: StreamHeader) -> tuple[FrameHead, Bitstream]:
    """The frame of the record at a position.

    Raises:
        BitstreamError: if it is damaged, or needs a newer program.
    """
    head = frame_head(data, at, header)
    check_record(data, at, head.end)
    found, start = {}, head.start
    for id_, length in head.lengths.items():
        if id_ in (Z, Y, MAP):
            found[id_] = data[start : start + length]
        elif id_ < ANCILLARY:
            raise BitstreamError(f"section {id_} of a frame: it was made by a newer vcm")
        start += length
    picture = Header(header.fingerprint, header.height, header.width, head.quality, header.tile)
    return head, Bitstream.of(picture, found, v2.VERSION)


def pack_index(header: StreamHeader, slots: list[Slot], end: int, at: int) -> bytes:
    """The index, whose record begins at position `at`, and the trailer."""
    parts = [varint(end), varint(len(slots))]
    for number, slot in enumerate(slots):
        parts += [varint(slot.size), varint(zigzag(slot.time - number * header.step))]
    body = b"".join(parts)
    record = _checked(bytes([INDEX]) + varint(len(body)) + body)
    return record + len(record).to_bytes(SIZE, "little") + TRAILER


def find_index(data: Data, header: StreamHeader, start: int) -> tuple[list[Slot], int] | None:
    """Where each frame is, and the time at which the last one ends; None: no index at the end."""
    tail = len(data) - SIZE - len(TRAILER)
    if tail < start or data[tail + SIZE :] != TRAILER:
        return None
    at = tail - int.from_bytes(data[tail : tail + SIZE], "little")
    try:
        return unpack_index(data, at, tail, header, start) if at >= start else None
    except BitstreamError:
        return None


def unpack_index(
    data: Data, at: int, end: int, header: StreamHeader, start: int
) -> tuple[list[Slot], int]:
    """The same from the record between two positions.

    Args:
        start: where the first frame record is.

    Raises:
        BitstreamError: if the record is not a whole index.
    """
    here = at
    kind, at = byte_at(data, at)
    length, at = read_varint(data, at)
    if kind != INDEX or at + length + CRC != end:
        raise BitstreamError("the index is damaged")
    check_record(data, here, end)
    body, at = data[at : at + length], 0
    last, at = read_varint(body, at)
    count, at = read_varint(body, at)
    slots: list[Slot] = []
    place, before = start, -1
    for number in range(count):
        size, at = read_varint(body, at)
        shift, at = read_varint(body, at)
        time = number * header.step + unzigzag(shift)
        if not before < time < MAX_TIME:
            raise BitstreamError("the index is damaged: its times do not ascend")
        slots.append(Slot(time, place, size))
        place, before = place + size, time
    if at != length or place != here or last <= before:
        raise BitstreamError("the index is damaged: it belongs to another file")
    return slots, last


def check_record(data: Data, at: int, end: int) -> None:
    """Raises a BitstreamError if the checksum at the end of a record is wrong."""
    with memoryview(data) as view:
        found = zlib.crc32(view[at : end - CRC])
    if found != int.from_bytes(data[end - CRC : end], "little"):
        raise BitstreamError("a frame's checksum is wrong: it is damaged")


def byte_at(data: Data, at: int) -> tuple[int, int]:
    """A byte, and the position after it.

    Raises:
        BitstreamError: if the data ends there.
    """
    if at >= len(data):
        raise BitstreamError("the stream ends early")
    return data[at], at + 1


def zigzag(value: int) -> int:
    """Maps integers to non-negative ones: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """The number that `zigzag` was given."""
    return -(value + 1) // 2 if value & 1 else value // 2


def _checked(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(CRC, "little")


def _text(head: bytes, at: int) -> str | None:
    """The text among the sections that end the header; unknown ancillary ones are skipped."""
    text, before = None, 0
    while at < len(head):
        id_, at = byte_at(head, at)
        length, at = read_varint(head, at)
        body, at = head[at : at + length], at + length
        if id_ <= before or at > len(head):
            raise BitstreamError("header: expected sections of ascending ids; it is damaged")
        if id_ == TEXT:
            text = streams.text_of(body)
        elif id_ < ANCILLARY:
            name = NAMES.get(id_, "unknown")
            raise BitstreamError(f"header: section {id_} ({name}) was made by a newer vcm")
        before = id_
    return text
