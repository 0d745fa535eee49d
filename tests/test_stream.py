"""The .vcms stream: what is written comes back, parts of it are never more than lost."""

import dataclasses
import io
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import stream_by_the_text as text
from hypothesis import given
from hypothesis import strategies as st
from test_container import FINGERPRINT, REPOSITORY, crc32

from vcm.container import Bitstream, Header, splice
from vcm.container.stream import FrameStream, StreamWriter, described, opened
from vcm.container.streams import StreamHeader
from vcm.container.varint import varint
from vcm.errors import BitstreamError

HEAD = StreamHeader(FINGERPRINT, 5, 7, Fraction(1, 1000), 40, text="cat")
# Bytes written by hand from docs/bitstream.md; the checksums by another implementation of CRC-32.
GOLDEN = (
    "89 56 43 53 01  16  00 01 02 03 04 05 06 07  05 07 00  01 E8 07  28  01 01  03 03 63 61 74",
    "46 08  00 00 88 27 01 00 AA BB",
    "46 0C  01 05 90 4E 00 01 04 02 00 32 CC DD",
    "49 06  50 02 0E 00 12 05",
)


def golden() -> bytes:
    parts = [bytes.fromhex(part) for part in GOLDEN]
    whole = [part + struct.pack("<I", crc32(part)) for part in parts]
    return b"".join(whole) + struct.pack("<I", len(whole[-1])) + b"VCSI"


def picture(quality: int, z: bytes, y: bytes, map_: bytes = b"", head: StreamHeader = HEAD):
    own = Header(head.fingerprint, head.height, head.width, quality, head.tile)
    return Bitstream(own, z, y, None, map_)


PICTURES = [picture(5000, b"\xaa", b"\xbb"), picture(10_000, b"", b"\xcc\xdd", b"\x00\x32")]


def written(pictures, times, head: StreamHeader = HEAD, end: int | None = None) -> bytes:
    file = io.BytesIO()
    writer = StreamWriter(file.write, head)
    for one, time in zip(pictures, times, strict=True):
        writer.put(one, time)
    writer.close(end)
    assert writer.size == len(file.getvalue())
    return file.getvalue()


def made(act: Callable[..., list[int]], *arguments: object) -> tuple[bytes, list[int]]:
    file = io.BytesIO()
    lost = act(*arguments, file.write)
    return file.getvalue(), lost


def clip(count: int = 6) -> bytes:
    """Frames of about 70 bytes, at times that vary a little."""
    pictures = [picture(1000 + i, bytes([i] * 9), bytes(range(i, i + 50)), bytes([i] * (i % 3)))
                for i in range(count)]  # fmt: skip
    return written(pictures, [40 * i + i % 2 for i in range(count)])


def test_golden_bytes() -> None:
    assert written(PICTURES, [0, 37], end=80) == golden()
    stream = FrameStream(golden())
    assert (stream.header, stream.said) == (HEAD, "")
    assert [stream.frame(i) for i in range(2)] == PICTURES
    assert [stream.seconds(i) for i in range(3)] == [0, Fraction(37, 1000), Fraction(8, 100)]


def test_the_example_of_the_text_is_it() -> None:
    page = (REPOSITORY / "docs" / "bitstream.md").read_text(encoding="utf-8")
    example = page.split("### 5.6 Example")[1].split("```")[1]
    lines = [re.match(r"(?:[0-9A-F]{2} ?)+", line) for line in example.strip().splitlines()]
    assert bytes.fromhex("".join(line[0] for line in lines if line)) == golden()


def test_the_text_alone_reads_it() -> None:
    told = text.read(clip())
    stream = FrameStream(clip())
    assert told.size == (5, 7) and told.text == b"cat"
    assert told.seconds == [stream.seconds(i) for i in range(7)]
    assert told.frames == [
        (one.header.quality, one.z, one.map, one.y) for one in map(stream.frame, range(6))
    ]


heads = st.builds(
    lambda tick, step, aspect, tile: StreamHeader(FINGERPRINT, 5, 7, tick, step, tile, aspect),
    st.fractions(Fraction(1, 2**31), 1, max_denominator=2**31),
    st.integers(1, 10**6),
    st.fractions(Fraction(1, 9), 9, max_denominator=99),
    st.integers(0, 63).map(lambda n: 4 * n),
)
gaps = st.lists(st.integers(1, 10**6), min_size=1, max_size=9)


@given(heads, gaps, st.binary(max_size=300), st.binary(max_size=200), st.sets(st.integers(0, 8)))
def test_what_is_written_is_read(head, gaps, z, y, lost) -> None:
    times = [sum(gaps[:i]) for i in range(1, len(gaps) + 1)]
    pictures = [None if i in lost else picture(i, z, y, y[:i], head) for i in range(len(gaps))]
    stream = FrameStream(written(pictures, times, head))
    assert stream.header == head and stream.end == times[-1] + head.step
    assert [slot.time for slot in stream.slots] == times
    assert [stream.whole(i) for i in range(len(stream))] == pictures
    assert described(stream)["lost"] == [i for i in range(len(gaps)) if i in lost]


def test_a_stream_that_is_cut_off_anywhere_plays_to_its_last_whole_frame() -> None:
    data, whole = clip(), FrameStream(clip())
    start = whole.slots[0].at
    for length in range(len(data)):
        if length < start:
            with pytest.raises(BitstreamError):
                FrameStream(data[:length])
            continue
        stream = FrameStream(data[:length])
        count = sum(slot.at + slot.size <= length for slot in whole.slots)
        assert len(stream) == count and stream.breaks_off
        assert stream.said == (
            f"it breaks off after frame {count - 1}" if count else "none of its frames is whole"
        )
        assert [stream.frame(i) for i in range(count)] == [whole.frame(i) for i in range(count)]
        assert stream.slots == whole.slots[:count]


@pytest.mark.parametrize("cut", [0, 1, 9], ids=["index", "trailer cut", "no index"])
def test_a_damaged_byte_costs_one_frame(cut: int) -> None:
    data, whole = clip(), FrameStream(clip())
    frames = [whole.frame(i) for i in range(6)]
    for at in range(len(data) - cut):
        damaged = bytearray(data)
        damaged[at] ^= 1 + at % 255
        try:
            stream = FrameStream(bytes(damaged[: len(damaged) - cut]))
        except BitstreamError as error:
            assert at < whole.slots[0].at and "\n" not in str(error)
            continue
        found = [stream.whole(i) for i in range(len(stream))]
        assert all(one is None or one == frames[i] for i, one in enumerate(found))
        hit = [i for i, slot in enumerate(whole.slots) if slot.at <= at < slot.at + slot.size]
        assert hit == [i for i in range(6) if i >= len(found) or found[i] is None], at
        assert len(found) == 6 or stream.breaks_off  # said
        times = [slot.time for slot in stream.slots]
        assert times == sorted(set(times))


@given(st.data())
def test_any_bytes_give_a_stream_or_a_bitstream_error(data: st.DataObject) -> None:
    """Forged as well: the checksum of a changed record is made right."""
    stream, parts = FrameStream(clip()), bytearray(clip())
    ends = [stream.slots[0].at, *(slot.at + slot.size for slot in stream.slots), len(parts) - 8]
    for _ in range(data.draw(st.integers(1, 4))):
        parts[data.draw(st.integers(5, len(parts) - 1))] = data.draw(st.integers(0, 255))
    for start, end in zip([0, *ends], ends, strict=False):
        if data.draw(st.booleans()):
            parts[end - 4 : end] = struct.pack("<I", zlib.crc32(parts[start : end - 4]))
    try:
        found = FrameStream(bytes(parts[: data.draw(st.integers(0, len(parts)))]))
    except BitstreamError as error:
        assert "\n" not in str(error)
        return
    described(found)
    times = [slot.time for slot in found.slots]
    assert times == sorted(set(times))


def test_damage_takes_memory_and_time_by_the_size_of_the_file() -> None:
    head = clip()[: FrameStream(clip()).slots[0].at]
    records = b"F" + varint(2**20) + b"\0" * 6  # each of which seems to hold all that follows
    tracemalloc.start()
    assert len(FrameStream(head + records * 2**17)) == 0
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the file is empty"),
        (b"\x89VCM\x02", "got a .vcm picture"),
        (b"\0\0\0\x20ftypisom", "expected a .vcms stream, got an AVIF or HEIC picture or a video"),
        (b"hello", "got 68 65 6c 6c"),
        (b"\x89VCS\x02", "format version 2, this vcm reads 1: it was made by a newer vcm"),
    ],
)
def test_what_is_foreign_or_newer(data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.vcms").write_bytes(data)
    with pytest.raises(BitstreamError, match=told) as caught:
        opened(tmp_path / "a.vcms")
    assert "a.vcms" in str(caught.value)


def test_unknown_sections_are_skipped_or_refused() -> None:
    first = bytes.fromhex(GOLDEN[0])
    for id_, told in ((200, None), (9, "section 9"), (3, "ascending ids")):
        head = first[:5] + varint(first[5] + 3) + first[6:] + bytes([id_, 1, 0])
        data = head + struct.pack("<I", zlib.crc32(head))
        if told is None:
            assert FrameStream(data).header == HEAD
            continue
        with pytest.raises(BitstreamError, match=told):
            FrameStream(data)
    for id_, whole in ((200, PICTURES[0]), (9, None)):
        body = bytes.fromhex("00 00 88 27 01 01") + bytes([id_, 1]) + b"\xaa?\xbb"
        record = b"F" + varint(len(body)) + body
        data = golden()[:32] + record + struct.pack("<I", zlib.crc32(record))
        assert FrameStream(data).whole(0) == whole


def test_cut_and_join_give_back_the_bytes() -> None:
    data, stream = clip(), FrameStream(clip())
    head, _ = made(splice.cut, stream, 0, 3)
    tail, _ = made(splice.cut, stream, 3, 99)
    assert made(splice.join, [FrameStream(head), FrameStream(tail)]) == (data, [])
    assert made(splice.cut, FrameStream(data), 0, 6) == (data, [])
    part = FrameStream(made(splice.cut, stream, 3, 5)[0])
    assert [part.frame(i) for i in range(2)] == [stream.frame(i) for i in (3, 4)]
    assert [part.slots[i].time for i in range(2)] == [0, 39] and part.end == 80
    for first, last in ((6, 9), (3, 3), (-1, 2)):
        with pytest.raises(BitstreamError, match="none from"):
            made(splice.cut, stream, first, last)


def test_what_is_lost_stays_lost_at_its_time() -> None:
    damaged = bytearray(clip())
    damaged[FrameStream(clip()).slots[2].at + 20] ^= 1
    data, lost = made(splice.cut, FrameStream(bytes(damaged)), 1, 5)
    part = FrameStream(data)
    assert lost == [1] and [part.whole(i) is None for i in range(4)] == [False, True, False, False]
    assert [slot.time for slot in part.slots] == [0, 39, 80, 119] and part.said == ""
    assert made(splice.join, [part, part])[1] == [1, 5]


def test_streams_of_two_clocks_are_joined_and_strangers_are_not() -> None:
    other = dataclasses.replace(HEAD, tick=Fraction(1, 1500), step=60, text="dog")
    streams = [FrameStream(written(PICTURES, [0, 40], head)) for head in (HEAD, other)]
    joined = FrameStream(made(splice.join, streams)[0])
    assert (joined.header.tick, joined.header.step) == (Fraction(1, 3000), 120)
    assert joined.header.text is None
    assert [float(joined.seconds(i)) for i in range(5)] == pytest.approx(
        [0, 0.04, 0.08, 0.08 + 40 / 1500, 0.08 + 100 / 1500]
    )
    for change in ({"height": 6}, {"fingerprint": bytes(8)}, {"aspect": Fraction(2)}):
        head = dataclasses.replace(HEAD, **change)
        stranger = FrameStream(written([picture(1, b"", b"", head=head)], [0], head))
        with pytest.raises(BitstreamError, match=f"stream 2 has {next(iter(change))}"):
            made(splice.join, [streams[0], stranger])


def test_what_does_not_belong_into_a_stream_is_refused() -> None:
    writer = StreamWriter(io.BytesIO().write, HEAD)
    with pytest.raises(BitstreamError, match="at least one frame"):
        writer.close()
    writer.put(PICTURES[0], 7)
    for one, time, told in (
        (PICTURES[0], 7, "tick 7, cannot follow 7"),
        (PICTURES[0], 2**34, "cannot follow"),
        (dataclasses.replace(PICTURES[0], version=1), 8, "expected version 2"),
        (Bitstream(Header(FINGERPRINT, 6, 7, 0), b"", b""), 8, "its size, tiles or model"),
    ):
        with pytest.raises(BitstreamError, match=told):
            writer.put(one, time)
    for change in ({"tick": Fraction(0)}, {"step": 0}, {"text": "a\nb"}, {"width": 2**16}):
        with pytest.raises(BitstreamError):
            dataclasses.replace(HEAD, **change)
