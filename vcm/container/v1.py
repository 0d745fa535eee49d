"""Version 1 of the file: a checked header, a table of sections, the sections.

docs/bitstream.md is the normative text; its field tables are the ones below.
"""

import dataclasses
import zlib
from typing import Any, Final, NamedTuple

from vcm.container import fields
from vcm.container.fields import Field
from vcm.container.header import FIELDS, Header
from vcm.container.sections import (
    MAX_BYTES,
    NAMES,
    TEXT,
    Bitstream,
    Y,
    Z,
    bodies,
    check_crc,
    check_length,
)
from vcm.errors import BitstreamError

MAGIC: Final = b"\x89VCM"
VERSION: Final = 1
HAS_TEXT: Final = 1  # flag bit 0; all other bits are 0

COUNT: Final = Field("sections", "B", range(2, 4), "entries in the section table")
HEADER: Final = (
    Field("magic", "4s", None, "89 56 43 4D"),
    Field("version", "B", range(1, 2), "of this format"),
    Field("flags", "B", range(2), "bit 0: there is a text section; the other bits are 0"),
    *FIELDS,
    COUNT,
)
ENTRY: Final = (
    Field("id", "B", range(1, 4), "1: z, 2: y, 3: text"),
    Field("length", "I", None, "bytes of the section"),
    Field("crc", "I", None, "CRC-32 of the section"),
)
CHECKSUM: Final = (Field("crc", "I", None, "CRC-32 of header and table, all bytes before this"),)


class Entry(NamedTuple):
    """A row of the section table; `crc` is the CRC-32 of the section's bytes."""

    id: int
    length: int
    crc: int


def pack(bitstream: Bitstream) -> bytes:
    """The whole file.

    Raises:
        BitstreamError: the file would be longer than `MAX_BYTES`.
    """
    sections = bitstream.sections()
    values = dataclasses.asdict(bitstream.header) | {
        "magic": MAGIC,
        "version": VERSION,
        "flags": HAS_TEXT if TEXT in sections else 0,
        "sections": len(sections),
    }
    head = fields.pack(HEADER, values)
    for id_, body in sections.items():
        head += fields.pack(ENTRY, Entry(id_, len(body), zlib.crc32(body))._asdict())
    data = b"".join((head, fields.pack(CHECKSUM, {"crc": zlib.crc32(head)}), *sections.values()))
    if len(data) > MAX_BYTES:
        raise BitstreamError(f"expected a file of at most {MAX_BYTES} bytes, got {len(data)}")
    return data


def unpack(data: bytes) -> Bitstream:
    """The picture in the bytes of a file that begins as one of this version.

    Raises:
        BitstreamError: if the file is not complete and undamaged.
    """
    values, entries, start = _head(data)
    lengths = {entry.id: entry.length for entry in entries}
    check_length(data, start + sum(lengths.values()))
    found = bodies(data, lengths, start)
    for entry in entries:
        check_crc(found[entry.id], entry.crc, f"section {NAMES[entry.id]}")
    return Bitstream.of(Header.of(values), found, VERSION)


def _head(data: bytes) -> tuple[dict[str, Any], list[Entry], int]:
    """Header, section table and the position after their checksum; lengths are not checked."""
    values = fields.unpack(HEADER, data, 0)
    # Where the checksum is depends on the number of sections: the one value checked before it.
    fields.check((COUNT,), values, "header")
    at = fields.size(HEADER)
    entries = []
    for _ in range(values["sections"]):
        entries.append(Entry(**fields.unpack(ENTRY, data, at)))
        at += fields.size(ENTRY)
    check_crc(data[:at], fields.unpack(CHECKSUM, data, at)["crc"], "header")
    fields.check(HEADER, values, "header")
    found = [entry.id for entry in entries]
    expected = [Z, Y, TEXT] if values["flags"] & HAS_TEXT else [Z, Y]
    if found != expected:
        raise BitstreamError(f"section table: expected the ids {expected}, got {found}")
    return values, entries, at + fields.size(CHECKSUM)
