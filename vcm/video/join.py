"""A file of pictures becomes the one that is asked for: with their times, and with sound."""

import heapq
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from vcm.errors import OutputError
from vcm.video.source import library

if TYPE_CHECKING:
    from av.container import InputContainer

CONTAINERS: Final = {  # suffix -> ffmpeg's name, and options
    ".mp4": ("mp4", {"movflags": "+faststart"}),
    ".m4v": ("mp4", {"movflags": "+faststart"}),
    ".mov": ("mov", {"movflags": "+faststart"}),
    ".mkv": ("matroska", {}),
}


class Sound(NamedTuple):
    """What is copied of a source: its audio from one time to another, in seconds."""

    path: str
    start: Fraction
    end: Fraction


def container_of(path: Path) -> str:
    """The container that a name stands for.

    Raises:
        OutputError: if it is none that is written here.
    """
    if path.suffix.lower() not in CONTAINERS:
        raise OutputError(f"{str(path)!r}: expected a name that ends in {', '.join(CONTAINERS)}")
    return CONTAINERS[path.suffix.lower()][0]


def check_sound(path: str, output: Path) -> int:
    """How many audio streams there are, all of which the output can hold.

    Raises:
        OutputError: if it cannot.
    """
    av = library()
    with av.open(path) as source:
        streams = source.streams.audio
        if not streams:
            return 0
        try:
            with av.open(io.BytesIO(), "w", format=container_of(output)) as trial:
                for stream in streams:
                    trial.add_stream_from_template(stream, opaque=True)
                trial.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(
                f"{str(output)!r} cannot hold the sound of {path!r} ({streams[0].name}); a name "
                f"that ends in .mkv can", hint="sound",
            ) from error  # fmt: skip
        return len(streams)


class Times(NamedTuple):
    """When frames are shown.

    Attributes:
        starts: seconds from 0, rising.
        last: seconds that the last one lasts.
        tick: seconds of which the starts are multiples.
    """

    starts: Sequence[Fraction]
    last: Fraction
    tick: Fraction

    def at(self, number: int) -> int:
        """In ticks; frames before the first and after the last come at the pace of the last."""
        count = len(self.starts)
        near = self.starts[min(max(number, 0), count - 1)]
        beyond = min(number, 0) + max(0, number - count + 1)
        return round((near + beyond * self.last) / self.tick)


def joined(pictures: Path, times: Times, sound: Sound | None, draft: Path, output: Path) -> int:
    """Write the file to a draft; how many bytes its pictures have, without the container.

    Args:
        pictures: a file with a picture for each time, at a constant rate.
        output: what its name will be.

    Raises:
        OutputError: if the disk is full.
    """
    av = library()
    name, options = CONTAINERS[output.suffix.lower()]
    try:
        with ExitStack() as files:
            given = files.enter_context(av.open(str(pictures)))
            file = files.enter_context(av.open(str(draft), "w", name, options=options))
            stream = file.add_stream_from_template(given.streams.video[0], opaque=True)
            stream.time_base = times.tick
            stream.codec_context.codec_tag = given.streams.video[0].codec_context.codec_tag
            parts = [_pictures(given, _order(pictures), times, stream)]
            if sound is not None:
                parts.append(_sound(files.enter_context(av.open(sound.path)), sound, file))
            size = 0
            for packet in heapq.merge(*parts, key=lambda p: p.dts * p.time_base):
                size += packet.size if packet.stream is stream else 0
                file.mux(packet)
    except av.FFmpegError as error:
        raise OutputError(f"cannot write {str(output)!r}: {error.strerror}; make room") from error
    return size


def sizes(path: Path) -> list[int]:
    """Bytes of each picture in a file, in order of time."""
    with library().open(str(path)) as given:
        packets = [(packet.pts, packet.size) for packet in given.demux(video=0) if packet.size]
    return [size for _, size in sorted(packets)]


def _order(pictures: Path) -> list[int]:
    """The number of each packet's picture in the order of time."""
    with library().open(str(pictures)) as given:
        shown = [packet.pts for packet in given.demux(video=0) if packet.size]
    rank = {pts: number for number, pts in enumerate(sorted(shown))}
    return [rank[pts] for pts in shown]


def _pictures(
    given: "InputContainer", order: Sequence[int], times: Times, stream: Any
) -> Iterator[Any]:
    """The packets with their times; they are decoded as early as the reordering asks for."""
    delay = max((place - number for place, number in enumerate(order)), default=0)
    packets = (packet for packet in given.demux(video=0) if packet.size)
    for place, (number, packet) in enumerate(zip(order, packets, strict=True)):
        packet.stream, packet.time_base = stream, times.tick
        packet.pts, packet.dts = times.at(number), times.at(place - delay)
        packet.duration = times.at(number + 1) - packet.pts
        yield packet


def _sound(source: "InputContainer", sound: Sound, file: Any) -> Iterator[Any]:
    """The packets of all audio streams that begin in time, counted from its start."""
    streams = {s.index: file.add_stream_from_template(s, opaque=True) for s in source.streams.audio}
    for packet in source.demux(audio=tuple(range(len(streams)))):
        if not packet.size or packet.pts is None or packet.time_base is None:
            continue
        time = packet.pts * packet.time_base
        if sound.start <= time < sound.end:
            shift = round(sound.start / packet.time_base)
            packet.stream = streams[packet.stream.index]
            packet.pts, packet.dts = packet.pts - shift, packet.pts - shift
            yield packet
