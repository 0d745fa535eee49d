"""Cutting and joining streams; no frame is decoded."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd

from vcm.container.stream import FrameStream, StreamWriter
from vcm.container.streams import StreamHeader
from vcm.errors import BitstreamError

Write = Callable[[bytes], object]  # takes the bytes of a file, part after part


def cut(stream: FrameStream, first: int, last: int, write: Write) -> list[int]:
    """Write some frames as a stream of their own, which begins at time 0.

    Args:
        first, last: half-open; last is at most the number of frames.

    Returns:
        The numbers, in the new stream, of the frames that are damaged or lost.

    Raises:
        BitstreamError: if none of these frames exists.
    """
    last = min(last, len(stream))
    if not 0 <= first < last:
        raise BitstreamError(f"there are {len(stream)} frames, none from {first} to {last}")
    writer, origin = StreamWriter(write, stream.header), stream.slots[first].time
    lost = _copied(stream, range(first, last), writer, -origin, 1)
    behind = stream.end if last == len(stream) else stream.slots[last].time
    writer.close(behind - origin)
    return [number - first for number in lost]


def join(streams: Sequence[FrameStream], write: Write) -> list[int]:
    """Write streams one after another, as one. The text is kept if it is the same in all.

    Returns:
        The numbers, in the new stream, of the frames that are damaged or lost.

    Raises:
        BitstreamError: if they differ in size, tiles, pixel aspect ratio or model.
    """
    header = _common([stream.header for stream in streams])
    writer, origin, count, lost = StreamWriter(write, header), 0, 0, []
    for stream in streams:
        scale = int(stream.header.tick / header.tick)
        found = _copied(stream, range(len(stream)), writer, origin, scale)
        lost += [count + number for number in found]
        origin, count = origin + scale * stream.end, count + len(stream)
    writer.close(origin)
    return lost


def _copied(
    stream: FrameStream, numbers: range, writer: StreamWriter, origin: int, scale: int
) -> list[int]:
    """Copy frames to a writer; the numbers of those that are damaged or lost."""
    lost = []
    for number in numbers:
        picture = stream.whole(number)
        if picture is None:
            lost.append(number)
        writer.put(picture, origin + scale * stream.slots[number].time)
    return lost


def _common(headers: Sequence[StreamHeader]) -> StreamHeader:
    """The first one, with a tick of which all of their ticks are multiples."""
    one = headers[0]
    for number, other in enumerate(headers[1:], 2):
        for name in ("fingerprint", "height", "width", "tile", "aspect"):
            a, b = getattr(one, name), getattr(other, name)
            if a != b:
                shown = (a.hex(), b.hex()) if isinstance(a, bytes) else (a, b)
                raise BitstreamError(
                    f"stream {number} has {name} {shown[1]}, the first one {shown[0]}: "
                    f"joined streams must have the same"
                )
    tick = one.tick
    for other in headers[1:]:
        a, b = tick.as_integer_ratio(), other.tick.as_integer_ratio()
        tick = Fraction(gcd(a[0] * b[1], b[0] * a[1]), a[1] * b[1])
    text = one.text if all(other.text == one.text for other in headers) else None
    return dataclasses.replace(one, tick=tick, step=int(one.step * one.tick / tick), text=text)
