"""Version 2 of the container: few bytes, sections by need, one checksum."""

import dataclasses
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_container import FINGERPRINT, NEW, bitstreams, crc32

from vcm.container import Bitstream, Header, pack, sections, unpack
from vcm.container.varint import read_varint, varint
from vcm.errors import BitstreamError

NEWER = {
    "smallest": (
        Bitstream(Header(bytes(8), 1, 1, 0), b"", b""),
        "89 56 43 4D 02 00 00 00 00 00 00 00 00 01 01 00 00 00 00",
    ),
    "text": (
        NEW,
        "89 56 43 4D 02 00 01 02 03 04 05 06 07 05 07 88 27 80 01 02 01 03 03 AA BB CC 63 61 74",
    ),
    "map, tiles": (
        Bitstream(
            Header(b"\xff" * 8, 4096, 65535, 10000, 96), b"123456789", b"", "a", b"\x01\x00\x05\xff"
        ),
        "89 56 43 4D 02 FF FF FF FF FF FF FF FF 80 20 FF FF 03 90 4E 98 09 00 02 03 01 04 04"
        "31 32 33 34 35 36 37 38 39 61 01 00 05 FF",
    ),
}


@pytest.mark.parametrize("name", NEWER)
def test_golden_bytes_of_version_2(name: str) -> None:
    expected, body = NEWER[name]
    data = bytes.fromhex(body)
    data += struct.pack("<I", crc32(data))
    assert pack(expected) == data
    assert unpack(data) == expected


def test_the_container_of_a_photo_takes_28_bytes() -> None:
    for side in (128, 768, 4096, 16_383):
        header = Header(FINGERPRINT, side, side, 9999, 96)
        z, y = bytes(300), bytes(16_383)
        assert len(pack(Bitstream(header, z, y))) - len(z) - len(y) == 28


@given(st.integers(0, 2**35 - 1), st.binary(max_size=3))
def test_numbers_of_any_length(value: int, tail: bytes) -> None:
    data = varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    assert read_varint(b"x" + data + tail, 1) == (value, 1 + len(data))
    for length in range(len(data)):
        with pytest.raises(BitstreamError, match="truncated"):
            read_varint(data[:length], 0)


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff\x80\x00", b"\x80" * 6, b"\xff" * 5])
def test_numbers_spelt_too_long_are_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError, match="more bytes than it needs"):
        read_varint(data, 0)


@given(bitstreams, st.data())
def test_a_forged_file_of_version_2_gives_a_bitstream_or_a_bitstream_error(
    original: Bitstream, data: st.DataObject
) -> None:
    whole = bytearray(pack(original)[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(5, min(len(whole) - 1, 40)))] = data.draw(st.integers(0, 255))
    forged = bytes(whole) + struct.pack("<I", zlib.crc32(whole))
    try:
        found = unpack(forged)
    except BitstreamError as error:
        assert "\n" not in str(error)
    else:
        ancillary = len(pack(found)) < len(forged)  # which nobody knows yet: skipped
        assert ancillary or pack(found) == forged


def with_section(id_: int) -> bytes:
    """NEW with a further section in place of its text."""
    data = pack(NEW)[:-4].replace(b"\x01\x03\x03\xaa", bytes([1, id_, 3, 0xAA]))
    return data + struct.pack("<I", zlib.crc32(data))


def test_unknown_sections_of_version_2() -> None:
    assert unpack(with_section(200)) == dataclasses.replace(NEW, text=None)
    assert unpack(with_section(sections.MAP)) == dataclasses.replace(NEW, text=None, map=b"cat")
    with pytest.raises(BitstreamError, match="section 9: .* made by a newer vcm"):
        unpack(with_section(9))
    for known in (sections.Z, sections.Y):
        with pytest.raises(BitstreamError, match="ascending ids"):
            unpack(with_section(known))


@pytest.mark.parametrize("tile", [2, 256, 65_535])
def test_tiles_that_no_encoder_makes_are_not_written(tile: int) -> None:
    with pytest.raises(BitstreamError, match="multiple of 4"):
        pack(dataclasses.replace(NEW, header=dataclasses.replace(NEW.header, tile=tile)))
