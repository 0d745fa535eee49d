"""The .vcm file: a checked header, a table of sections, the sections. Standard library only.

docs/bitstream.md is the normative text; its field tables are the ones below.
"""

import dataclasses
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vcm import fields
from vcm.errors import BitstreamError
from vcm.fields import Field

MAGIC: Final = b"\x89VCM"
VERSION: Final = 1
HAS_TEXT: Final = 1  # flag bit 0; all other bits are 0
MAX_SIDE: Final = 65_535
MAX_PIXELS: Final = 2**28  # 268 million: bounds what a decoder has to allocate
MAX_TEXT: Final = 4_096  # bytes of UTF-8
MAX_BYTES: Final = 2**30  # of a whole file
Z: Final = 1
Y: Final = 2
TEXT: Final = 3
SECTIONS: Final = {Z: "z", Y: "y", TEXT: "text"}

COUNT: Final = Field("sections", "B", range(2, 4), "entries in the section table")
HEADER: Final = (
    Field("magic", "4s", None, "89 56 43 4D"),
    Field("version", "B", range(1, 2), "of this format"),
    Field("flags", "B", range(2), "bit 0: a text section is there; the other bits are 0"),
    Field("fingerprint", "8s", None, "of the decoder's tensors: section 3"),
    Field("height", "I", range(1, MAX_SIDE + 1), "rows of the picture"),
    Field("width", "I", range(1, MAX_SIDE + 1), "columns; height * width is at most 2^28"),
    Field("quality", "H", range(10_001), "quality in hundredths: 0 is worst, 10000 best"),
    Field("tile", "H", None, "side of a tile in latents of 16 x 16 pixels; 0: not tiled"),
    COUNT,
)
ENTRY: Final = (
    Field("id", "B", range(1, 4), "1: z, 2: y, 3: text"),
    Field("length", "I", None, "bytes of the section"),
    Field("crc", "I", None, "CRC-32 of the section"),
)
CHECKSUM: Final = (Field("crc", "I", None, "CRC-32 of header and table, all bytes before this"),)

# Control characters, line separators, and what turns the direction of the text around it.
_UNSEEN: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
# How other files begin, for people who give the wrong one: (offset, bytes, name).
_FOREIGN: Final = (
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (4, b"ftyp", "an AVIF or HEIC picture or a video"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"<", "a web page or XML"),
    (0, b"version https://git-lfs", "a Git LFS pointer: run git lfs pull"),
)


@dataclass(frozen=True)
class Header:
    """What a decoder knows before it reads a section.

    Attributes:
        fingerprint: 8 bytes that name the tensors which a decoder needs.
        height: rows, 1 to 65535.
        width: columns, 1 to 65535; height * width is at most 2**28.
        quality: in hundredths, 0 to 10000.
        tile: side of a tile in latents of 16 pixels, 0 when not tiled.
    """

    fingerprint: bytes
    height: int
    width: int
    quality: int
    tile: int = 0

    def __post_init__(self) -> None:
        values = dataclasses.asdict(self)
        fields.check(tuple(field for field in HEADER if field.name in values), values, "header")
        if self.height * self.width > MAX_PIXELS:
            raise BitstreamError(
                f"header: expected at most {MAX_PIXELS} pixels, got {self.width} x {self.height}"
            )


@dataclass(frozen=True)
class Bitstream:
    """One coded picture: `8 * len(pack(bitstream))` is its rate in bits.

    Attributes:
        header: size, quality and model.
        z: the hyper-latent's section, may be empty.
        y: the latent's section, may be empty.
        text: the phrases that chose the ROI, when their user wanted them stored. It is 1 to 4096
            bytes of UTF-8 without control characters, so it is safe to print.
    """

    header: Header
    z: bytes
    y: bytes
    text: str | None = None

    def __post_init__(self) -> None:
        if self.text is not None:
            check_text(self.text)

    def sections(self) -> dict[int, bytes]:
        """The bytes of each section by id, in the order of the file."""
        text = {} if self.text is None else {TEXT: self.text.encode()}
        return {Z: self.z, Y: self.y, **text}


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
        head += fields.pack(ENTRY, {"id": id_, "length": len(body), "crc": zlib.crc32(body)})
    data = b"".join((head, fields.pack(CHECKSUM, {"crc": zlib.crc32(head)}), *sections.values()))
    if len(data) > MAX_BYTES:
        raise BitstreamError(f"expected a file of at most {MAX_BYTES} bytes, got {len(data)}")
    return data


def unpack(data: bytes) -> Bitstream:
    """The picture in the bytes of a file; nothing but a whole and undamaged one is accepted.

    `pack(unpack(data)) == data` whenever this returns: a picture has one spelling.

    Raises:
        BitstreamError: anything else, whatever the bytes. Time and memory are bounded by
            `len(data)`.
    """
    values, entries, start = _head(data)
    end = start + sum(entry["length"] for entry in entries)
    if len(data) < end:
        raise fields.truncated(len(data), f"{end}")
    if len(data) > end:
        raise BitstreamError(
            f"expected a file of {end} bytes, got {len(data)}: something was appended to it"
        )
    if end > MAX_BYTES:
        raise BitstreamError(f"expected a file of at most {MAX_BYTES} bytes, got {end}")
    bodies = {}
    for entry in entries:
        body = data[start : start + entry["length"]]
        _check_crc(body, entry["crc"], f"section {SECTIONS[entry['id']]}")
        bodies[entry["id"]] = body
        start += entry["length"]
    names = [field.name for field in dataclasses.fields(Header)]
    header = Header(**{name: values[name] for name in names})
    return Bitstream(header, bodies[Z], bodies[Y], _text(bodies.get(TEXT)))


def describe(data: bytes) -> dict[str, Any]:
    """What `vcm info` prints of a file: plain values that JSON can hold.

    Raises:
        BitstreamError: as `unpack`.
    """
    bitstream = unpack(data)
    header = bitstream.header
    return {
        "version": VERSION,
        "height": header.height,
        "width": header.width,
        "bytes": len(data),
        "bpp": 8 * len(data) / (header.height * header.width),
        "quality": header.quality / 100,
        "tile": header.tile,
        "fingerprint": header.fingerprint.hex(),
        "sections": {SECTIONS[id_]: len(body) for id_, body in bitstream.sections().items()},
        "text": bitstream.text,
    }


def read(path: str | Path) -> bytes:
    """The bytes of a whole .vcm file, as `unpack` takes them.

    Raises:
        BitstreamError: no such file, unreadable, damaged, foreign, of another version, or over
            `MAX_BYTES`, which is found out before the rest is read. The message names the file.
    """
    path = Path(path)
    if path.is_dir():
        raise BitstreamError(f"{str(path)!r} is a folder; expected a .vcm file")
    try:
        with path.open("rb") as file:
            data = file.read(64)
            _identify(data)
            length = os.fstat(file.fileno()).st_size  # 0 for a pipe
            if length <= MAX_BYTES:
                data += file.read(MAX_BYTES + 1 - len(data))
                length = len(data)
            if length > MAX_BYTES:
                raise BitstreamError(f"expected at most {MAX_BYTES} bytes, got {length}")
            unpack(data)
            return data
    except BitstreamError as error:
        raise BitstreamError(f"{str(path)!r}: {error}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise BitstreamError(f"cannot read {str(path)!r}: {reason}; check the name") from error


def _head(data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Header, section table and the position after their checksum, all checked but the lengths."""
    _identify(data)
    values = fields.unpack(HEADER, data, 0)
    # The number of sections says where the checksum is, so it is the one value checked before.
    fields.check((COUNT,), values, "header")
    at = fields.size(HEADER)
    entries = []
    for _ in range(values["sections"]):
        entries.append(fields.unpack(ENTRY, data, at))
        at += fields.size(ENTRY)
    _check_crc(data[:at], fields.unpack(CHECKSUM, data, at)["crc"], "header")
    fields.check(HEADER, values, "header")
    found = [entry["id"] for entry in entries]
    expected = [Z, Y, TEXT] if values["flags"] & HAS_TEXT else [Z, Y]
    if found != expected:
        raise BitstreamError(f"section table: expected the ids {expected}, got {found}")
    return values, entries, at + fields.size(CHECKSUM)


def _identify(data: bytes) -> None:
    """Refuses what is not a .vcm file of this version, in words for the person who gave it."""
    if not data:
        raise BitstreamError("the file is empty; get it again from where it came")
    if not data.startswith(MAGIC[: len(data)]):
        for offset, start, name in _FOREIGN:
            if data[offset : offset + len(start)] == start:
                raise BitstreamError(f"expected a .vcm file, got {name}")
        raise BitstreamError(
            f"expected a .vcm file, which begins {MAGIC.hex(' ')}, got {data[:4].hex(' ')}"
        )
    version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
    if version > VERSION:
        raise BitstreamError(
            f"the file has format version {version}, this vcm reads {VERSION}: "
            f"it was made by a newer vcm (update yours) or is damaged"
        )


def _check_crc(data: bytes, expected: int, where: str) -> None:
    found = zlib.crc32(data)
    if found != expected:
        raise BitstreamError(
            f"{where}: expected CRC-32 {expected:08x}, got {found:08x}: "
            f"the file is damaged, get it again from where it came"
        )


def check_text(text: str) -> None:
    """Refuse a text that a file cannot hold; raises BitstreamError."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise BitstreamError(f"section text: not UTF-8 ({error})") from error
    if not 1 <= length <= MAX_TEXT:
        raise BitstreamError(f"section text: expected 1 to {MAX_TEXT} bytes, got {length}")
    if found := _UNSEEN.search(text):
        raise BitstreamError(f"section text: expected no control characters, got {found[0]!a}")


def _text(body: bytes | None) -> str | None:
    try:
        return None if body is None else body.decode()
    except UnicodeDecodeError as error:
        raise BitstreamError(f"section text: not UTF-8 ({error})") from error
