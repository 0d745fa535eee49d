"""Clips in files and pipes, by PyAV."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vcm.errors import ImageError, MissingExtra, SpecError
from vcm.pixels import MAX_PIXELS
from vcm.video.clip import Frame, Image, Span, Stored

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

PIPE: Final = "-"
TURNS: Final = {0: 0, 90: 1, 180: 2, -180: 2, -90: 3}  # degrees -> quarters to the left


@dataclass(frozen=True)
class Raw:
    """What a file of bare samples does not say of itself.

    Attributes:
        width, height: in pixels.
        pixels: ffmpeg's name of the pixel format.

    Raises:
        SpecError: if there is no such format, or no such picture.
    """

    width: int
    height: int
    pixels: str = "yuv420p"

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0 and self.width * self.height <= MAX_PIXELS):
            raise SpecError(f"raw video: no picture has {self.width}x{self.height} pixels")
        try:
            library().VideoFormat(self.pixels)
        except ValueError as error:
            raise SpecError(
                f"raw video: expected a pixel format as ffmpeg names it, such as yuv420p or "
                f"yuv420p10le, got {self.pixels!r}"
            ) from error

    def options(self, rate: Fraction) -> dict[str, str]:
        """As ffmpeg's reader of raw video takes them."""
        size = f"{self.width}x{self.height}"
        return {"video_size": size, "pixel_format": self.pixels, "framerate": str(rate)}


def library() -> Any:
    """PyAV.

    Raises:
        MissingExtra: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("av", "video") from error
    return av


def sounds(path: str) -> int:
    """How many audio streams a file has."""
    with library().open(path) as file:
        return len(file.streams.audio)


class Stream:
    """The first video stream of a file or a pipe: a `Clip`.

    Args:
        path: of the file, or `PIPE` for standard input.
        raw: for bare samples.
        rate: frames a second of bare samples, and of a file that says nothing.

    Raises:
        ImageError: if it cannot be opened, or no frame of it can be decoded.
        MissingExtra: if PyAV is not installed.
    """

    def __init__(self, path: str, span: Span, raw: Raw | None, rate: Fraction):
        self._av, self._span, self.name = library(), span, path
        self._given = {"format": "rawvideo", "options": raw.options(rate)} if raw else {}
        self.notes: list[str] = []
        container = self._opened()
        stream = container.streams.video[0]
        self._rate = stream.average_rate or stream.guessed_rate or rate
        self.rate, self._there = span.rate(self._rate), _count(container, stream, self._rate)
        self.tick = Fraction(stream.time_base or 1 / self._rate)
        self._frames: Iterator[Stored] | None = self._begun(container)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        turned = (stream.width, stream.height) != (self.width, self.height)
        self.aspect = 1 / aspect if turned else aspect

    @property
    def length(self) -> int | None:
        return self._span.length(self._there, self._rate)

    def __iter__(self) -> Iterator[Frame]:
        frames, self._frames = self._frames, None
        if frames is None:
            if self.name == PIPE:
                raise ImageError("a pipe is read once; give a file")
            self.notes.clear()
            frames = self._begun(self._opened())
        return self._span.of(frames)

    def _opened(self) -> "InputContainer":
        """The container, which has a video stream."""
        file = sys.stdin.buffer if self.name == PIPE else self.name
        try:
            container: InputContainer = self._av.open(file, **self._given)
        except (OSError, ValueError) as error:  # PyAV's errors are one or the other
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"{self.name!r} is no clip that can be read: {reason}") from error
        if container.streams.video:
            return container
        container.close()
        raise ImageError(f"{self.name!r}: expected a clip, got a file without a video stream")

    def _begun(self, container: "InputContainer") -> Iterator[Stored]:
        """Its frames, of which the first has been decoded: it knows the size, upright."""
        frames = self._stored(container)
        try:
            first = next(frames)
        except StopIteration:
            raise ImageError(f"{self.name!r}: no frame of it can be decoded") from None
        self.height, self.width = first.image().shape[:2]
        return chain([first], frames)

    def _stored(self, container: "InputContainer") -> Iterator[Stored]:
        """All frames, with times that rise; what was odd is noted at the end."""
        before: Fraction | None = None
        index = odd = damaged = 0
        with container:
            slack = 0 if container.streams.video[0].frames else 2  # else it is an estimate
            for index, frame in enumerate(self._decoded(container), 1):
                if before is None:
                    self._describe(frame)
                time = None if frame.pts is None else frame.pts * self.tick
                if time is None or (before is not None and time <= before):
                    time = Fraction(0) if before is None else before + 1 / self._rate
                    odd += 1
                damaged += frame.is_corrupt
                before = time
                yield Stored(index - 1, time, partial(_upright, frame))
        self._note(odd, "without a time of their own follow at the average rate")
        self._note(damaged, "are damaged and shown as far as they could be decoded")
        if self._there is not None and self._there > index + slack:
            self.notes.append(f"it speaks of {self._there} frames and holds {index}")

    def _describe(self, frame: "VideoFrame") -> None:
        """Note what of its frames is not kept."""
        bits = max(component.bits for component in frame.format.components)
        if bits > 8:
            self.notes.append(f"its samples have {bits} bit and are rounded to 8")
        if frame.rotation not in TURNS:
            self.notes.append(f"its turn by {frame.rotation} degrees is ignored")

    def _note(self, count: int, text: str) -> None:
        if count:
            self.notes.append(f"{count} frames {text}")

    def _decoded(self, container: "InputContainer") -> Iterator["VideoFrame"]:
        """The frames of all packets; what one holds that cannot be decoded is lost, and noted."""
        stream, lost = container.streams.video[0], 0
        for packet in self._packets(container, stream):
            try:
                frames = stream.decode(packet)
            except self._av.FFmpegError:
                lost += 1
                continue
            yield from frames
        if lost:
            self.notes.append(f"{lost} packets could not be decoded")

    def _packets(
        self, container: "InputContainer", stream: "VideoStream"
    ) -> Iterator["Packet[VideoStream] | None"]:
        """Those of the stream, then None, which makes the decoder give what it still holds."""
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
        except (self._av.FFmpegError, OSError) as error:
            self.notes.append(f"it breaks off: {error.strerror or error}")
        yield None


def _count(container: "InputContainer", stream: "VideoStream", rate: Fraction) -> int | None:
    """How many frames there are by the word of the file, or about how many by its duration."""
    if stream.frames:
        return stream.frames
    if stream.duration and stream.time_base:
        return round(stream.duration * Fraction(stream.time_base) * rate)
    alone = len(container.streams) == 1  # else the duration may be that of the sound
    return (
        round(Fraction(container.duration, 1_000_000) * rate)
        if (container.duration and alone)
        else None
    )


def _upright(frame: "VideoFrame") -> Image:
    """The picture as it is meant to be seen: (H, W, 3) uint8 RGB."""
    from av.video.reformatter import Interpolation

    # without rounding and whole chroma swscale costs up to 3 dB
    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    image = frame.reformat(format="rgb24", interpolation=exact).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, TURNS.get(frame.rotation, 0)), np.uint8)
