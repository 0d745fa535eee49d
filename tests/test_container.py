"""The container: what is written comes back, and nothing else is ever accepted."""

import dataclasses
import json
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm import container
from vcm.container import Bitstream, Header, describe, fields, pack, unpack, v1
from vcm.container.sections import MAX_TEXT
from vcm.errors import BitstreamError

REPOSITORY = Path(__file__).resolve().parent.parent
FINGERPRINT = bytes(range(8))
SMALL = Bitstream(Header(FINGERPRINT, 5, 7, 5000), b"\xaa", b"\xbb\xcc", "cat", version=1)
NEW = dataclasses.replace(SMALL, version=2)
BOTH = pytest.mark.parametrize("small", [SMALL, NEW], ids=["v1", "v2"])

# Bytes written by hand from docs/bitstream.md; the checksums by another implementation of CRC-32.
GOLDEN = {
    "smallest": (
        Bitstream(Header(bytes(8), 1, 1, 0), b"", b"", version=1),
        "89 56 43 4D 01 00 00 00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00 02"
        "01 00 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00 00",
        "",
    ),
    "text": (
        SMALL,
        "89 56 43 4D 01 01 00 01 02 03 04 05 06 07 05 00 00 00 07 00 00 00 88 13 00 00 03"
        "01 01 00 00 00 7B A5 01 E4  02 02 00 00 00 17 EB 3A D4  03 03 00 00 00 A8 43 5E 9E",
        "AA BB CC 63 61 74",
    ),
    "extremes": (
        Bitstream(Header(b"\xff" * 8, 4096, 65535, 10000, 65535), b"123456789", b"", version=1),
        "89 56 43 4D 01 00 FF FF FF FF FF FF FF FF 00 10 00 00 FF FF 00 00 10 27 FF FF 02"
        "01 09 00 00 00 26 39 F4 CB  02 00 00 00 00 00 00 00 00",
        "31 32 33 34 35 36 37 38 39",
    ),
}

sides = st.integers(1, container.MAX_SIDE)
headers = st.builds(
    lambda fingerprint, sides, quality, tile: Header(fingerprint, *sides, quality, tile),
    st.binary(min_size=8, max_size=8),
    st.tuples(sides, sides).filter(lambda hw: hw[0] * hw[1] <= container.MAX_PIXELS),
    st.integers(0, 10_000),
    st.integers(0, 63).map(lambda n: 4 * n),
)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=MAX_TEXT // 4)
bitstreams = st.builds(
    Bitstream, headers, st.binary(), st.binary(), st.none() | texts, st.binary(max_size=300)
)
old_bitstreams = st.builds(
    Bitstream, headers, st.binary(), st.binary(), st.none() | texts, st.just(b""), st.just(1)
)


def crc32(data: bytes) -> int:
    """CRC-32 bit by bit, as docs/bitstream.md describes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def forge(data: bytes, at: int, value: bytes) -> bytes:
    """A small file with some bytes of its head replaced and the head's checksum made right."""
    head = bytearray(data[:54])
    head[at : at + len(value)] = value
    return bytes(head) + struct.pack("<I", zlib.crc32(head)) + data[58:]


@given(bitstreams | old_bitstreams)
def test_what_is_packed_is_unpacked(expected: Bitstream) -> None:
    assert unpack(pack(expected)) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name: str) -> None:
    expected, head, body = GOLDEN[name]
    checksum = struct.pack("<I", crc32(bytes.fromhex(head)))
    data = bytes.fromhex(head) + checksum + bytes.fromhex(body)
    assert pack(expected) == data
    assert unpack(data) == expected


@given(st.binary() | st.binary().map(lambda tail: pack(SMALL)[: len(tail)] + tail))
def test_any_bytes_give_a_bitstream_or_a_bitstream_error(data: bytes) -> None:
    try:
        found = unpack(data)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert pack(found) == data


@given(old_bitstreams, st.data())
def test_a_forged_head_gives_a_bitstream_or_a_bitstream_error(
    original: Bitstream, data: st.DataObject
) -> None:
    """Past the checksum, where only the range checks stand between a file and the decoder."""
    whole = pack(original)
    end = 27 + 9 * len(original.sections())
    head = bytearray(whole[:end])
    for _ in range(data.draw(st.integers(1, 3))):
        head[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    forged = bytes(head) + struct.pack("<I", zlib.crc32(head)) + whole[end + 4 :]
    try:
        found = unpack(forged)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        assert pack(found) == forged


@BOTH
def test_every_truncation_is_found(small: Bitstream) -> None:
    data = pack(small)
    for length in range(len(data)):
        with pytest.raises(BitstreamError, match="truncated" if length else "empty"):
            unpack(data[:length])


@BOTH
def test_every_flipped_bit_and_changed_byte_is_found(small: Bitstream) -> None:
    data = pack(small)
    for at in range(len(data)):
        for change in range(1, 256):
            damaged = data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
            with pytest.raises(BitstreamError):
                unpack(damaged)


@given(bitstreams | old_bitstreams, st.binary(min_size=1))
def test_appended_bytes_are_found(original: Bitstream, tail: bytes) -> None:
    with pytest.raises(BitstreamError, match="appended"):
        unpack(pack(original) + tail)


def test_huge_lengths_cost_nothing() -> None:
    forged = forge(pack(SMALL), 28, b"\xff\xff\xff\xff")  # z claims 4 GiB
    tracemalloc.start()
    try:
        with pytest.raises(BitstreamError, match=r"truncated: expected 4294967358 bytes, got 64"):
            unpack(forged)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (4, b"\x03", "format version 3, this vcm reads 1 to 2: it was made by a newer vcm"),
        (4, b"\x00", "format version 0"),
        (5, b"\x03", "expected flags in 0..1, got 3"),
        (5, b"\x00", r"expected the ids \[1, 2\], got \[1, 2, 3\]"),
        (14, b"\x00", "expected height in 1..65535, got 0"),
        (18, b"\xff\xff\xff\xff", "expected width in 1..65535, got 4294967295"),
        (14, b"\xff\xff\x00\x00\xff\xff", "expected at most 268435456 pixels"),
        (22, b"\xff\xff", "expected quality in 0..10000, got 65535"),
        (26, b"\xff", "expected sections in 2..3, got 255"),
        (27, b"\x02", r"expected the ids \[1, 2, 3\], got \[2, 2, 3\]"),
        (45, b"\x63", r"expected the ids \[1, 2, 3\], got \[1, 2, 99\]"),
        (32, b"\x00", "section z: expected CRC-32"),
    ],
)
def test_forged_values_are_named(at: int, value: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        unpack(forge(pack(SMALL), at, value))


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\xd8\xff\xe0", "a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "a PNG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP"),
        (b"\0\0\0\x20ftypavif", "an AVIF"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"hello", "begins 89 56 43 4d, got 68 65 6c 6c"),
    ],
)
def test_foreign_files_are_named(start: bytes, name: str) -> None:
    with pytest.raises(BitstreamError, match=name):
        unpack(start + bytes(100))


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": b"short"},
        {"fingerprint": "01234567"},
        {"height": 0},
        {"width": 65_536},
        {"height": 65_535, "width": 65_535},
        {"quality": -1},
        {"quality": 50.5},
        {"tile": 2**16},
    ],
)
def test_headers_that_cannot_be_written_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(BitstreamError):
        dataclasses.replace(SMALL.header, **changes)


@pytest.mark.parametrize(
    "text", ["", "a\nb", "\x1b[2J", "\x9b", "\ud800", "ä" * 2049, "a\u202eb", "\u2028"]
)
def test_texts_that_are_unsafe_to_print_are_refused(text: str) -> None:
    with pytest.raises(BitstreamError, match="section text"):
        Bitstream(SMALL.header, b"", b"", text)


@pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b"a\nb"])
def test_unsafe_texts_in_a_file_are_refused(body: bytes) -> None:
    forged = forge(pack(SMALL), 50, struct.pack("<I", zlib.crc32(body)))
    with pytest.raises(BitstreamError, match="section text"):
        unpack(forged[:-3] + body)


def test_every_version_has_a_reader_and_the_newest_is_written() -> None:
    assert sorted(container.VERSIONS) == list(range(1, container.VERSION + 1))
    assert pack(Bitstream(SMALL.header, b"", b""))[4] == container.VERSION
    for version in container.VERSIONS:
        assert pack(dataclasses.replace(SMALL, version=version))[4] == version


def test_describe_says_what_the_file_says() -> None:
    data = pack(SMALL)
    assert describe(data) == {
        "version": 1,
        "height": 5,
        "width": 7,
        "bytes": 64,
        "bpp": 8 * 64 / 35,
        "quality": 50.0,
        "tile": 0,
        "fingerprint": "0001020304050607",
        "sections": {"z": 1, "y": 2, "text": 3},
        "text": "cat",
    }
    assert json.loads(json.dumps(describe(data))) == describe(data)


def test_read_returns_the_bytes(tmp_path: Path) -> None:
    whole = Bitstream(SMALL.header, b"z" * 3_000_000, b"y")
    path = tmp_path / "a.vcm"
    path.write_bytes(pack(whole))
    assert unpack(container.read(path)) == whole


def test_read_names_the_file_and_the_cause(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (tmp_path / "empty.vcm").touch()
    with (tmp_path / "huge.vcm").open("wb") as file:  # sparse: takes no room on disk
        file.write(pack(SMALL))
        file.truncate(container.MAX_BYTES + 1)
    (tmp_path / "half.vcm").write_bytes(pack(SMALL)[:50])
    for name, message in {
        "photo.jpg": "photo.jpg': expected a .vcm file, got a JPEG",
        "empty.vcm": "empty.vcm': the file is empty",
        "huge.vcm": "huge.vcm': expected at most 1073741824 bytes",
        "half.vcm": "half.vcm': the file is truncated",
        "none.vcm": "No such file",
        ".": "is a folder",
        "a\0b": "null byte",
    }.items():
        with pytest.raises(BitstreamError, match=message):
            container.read(tmp_path / name)


def test_the_document_has_the_tables_and_the_example_of_the_code() -> None:
    document = (REPOSITORY / "docs" / "bitstream.md").read_text()
    for table in (v1.HEADER, v1.ENTRY, v1.CHECKSUM):
        assert fields.table(table) in document
    examples = document.split("## 4. Example")[1].split("\n## 5.")[0].split("```")[1::2]
    for example, stream in zip(examples, (NEW, SMALL), strict=True):
        rows = re.findall(r"^((?:[0-9A-F]{2} )+)", example, re.MULTILINE)
        assert bytes.fromhex("".join(rows)) == pack(stream)


def test_reading_needs_the_standard_library_only() -> None:
    code = (
        "import sys; from vcm import container; "
        "print(container.describe(bytes.fromhex(sys.argv[1]))['text'], "
        "*sorted({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, pack(SMALL).hex()]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "cat\n"
