"""The .vcms stream of any version: opened, written, described. Standard library only.

A version is a row of `STREAMS`. docs/bitstream.md is the normative text.
"""

import mmap
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcm.container import foreign, s1, walk
from vcm.container.sections import Bitstream
from vcm.container.streams import MAX_TIME, Data, Slot, StreamHeader
from vcm.container.v2 import VERSION as PICTURES
from vcm.container.walk import Table
from vcm.errors import BitstreamError

SUFFIX: Final = ".vcms"
MAGIC: Final = s1.START[:-1]


class StreamVersion(NamedTuple):
    """How a stream of a version is read: its header, its table, a frame."""

    header: Callable[[Data], tuple[StreamHeader, int]]
    table: Callable[[Data, StreamHeader, int], Table]
    frame: Callable[[Data, int, StreamHeader], tuple[s1.FrameHead, Bitstream]]


STREAMS: Final = {s1.VERSION: StreamVersion(s1.unpack_header, walk.table, s1.unpack_frame)}


class FrameStream:
    """The frames of a stream, read one by one as they are needed.

    Attributes:
        header: what all frames share.
        version: of the file.
        size: bytes of the file.
        slots: where each frame is, by its number.
        end: ticks at which the last one ends.
        said: what is wrong with the file as a whole, "" for nothing.
        breaks_off: whether frames may be missing after the last one.

    Raises:
        BitstreamError: if the beginning is damaged, foreign or of a newer version.
    """

    def __init__(self, data: Data):
        self.version, self.size, self._data = _version(data), len(data), data
        self._how = STREAMS[self.version]
        self.header, start = self._how.header(data)
        found = self._how.table(data, self.header, start)
        self.slots, self.end, self.said, self.breaks_off = found

    def __len__(self) -> int:
        return len(self.slots)

    def frame(self, number: int) -> Bitstream:
        """A frame as a picture of its own: `pack` makes its .vcm file.

        Raises:
            BitstreamError: if it is damaged or lost.
        """
        slot = self.slots[number]
        if not slot.size:
            raise BitstreamError(f"frame {number} is lost")
        try:
            head, picture = self._how.frame(self._data, slot.at, self.header)
        except BitstreamError as error:
            raise BitstreamError(f"frame {number}: {error}") from error
        if (head.number, head.time, head.end) != (number, slot.time, slot.at + slot.size):
            raise BitstreamError(f"frame {number} is damaged: the index describes another one")
        return picture

    def whole(self, number: int) -> Bitstream | None:
        """The same, or None if it is damaged or lost."""
        try:
            return self.frame(number)
        except BitstreamError:
            return None

    def seconds(self, number: int) -> Fraction:
        """When a frame is shown; for the number after the last one, when the stream ends."""
        ticks = self.end if number == len(self) else self.slots[number].time
        return ticks * self.header.tick


class StreamWriter:
    """Writes a stream from its beginning; only a few bytes per frame stay in memory.

    Args:
        write: takes the bytes of the file, part after part.

    Attributes:
        size: bytes so far.

    Raises:
        BitstreamError: if the header cannot be stored.
    """

    def __init__(self, write: Callable[[bytes], object], header: StreamHeader):
        self._write, self.header, self.size = write, header, 0
        self._slots: list[Slot] = []
        self._append(s1.pack_header(header))

    def put(self, picture: Bitstream | None, time: int) -> None:
        """Append a frame.

        Args:
            picture: of version 2, of the header's model, size and tiles; None: it is lost.
            time: in ticks; greater than that of the frame before.

        Raises:
            BitstreamError: if the frame does not belong in this stream.
        """
        number = len(self._slots)
        before = self._slots[-1].time if self._slots else -1
        if not before < time < MAX_TIME or abs(time - number * self.header.step) >= MAX_TIME:
            raise BitstreamError(f"frame {number}: its time, tick {time}, cannot follow {before}")
        record = b"" if picture is None else self._record(number, time, picture)
        self._slots.append(Slot(time, self.size, len(record)))
        self._append(record)

    def close(self, end: int | None = None) -> None:
        """Write the index.

        Args:
            end: ticks at which the last frame ends; None: it lasts one step of the header.

        Raises:
            BitstreamError: if there is no frame.
        """
        if not self._slots:
            raise BitstreamError("a stream must have at least one frame")
        end = self._slots[-1].time + self.header.step if end is None else end
        self._append(s1.pack_index(self.header, self._slots, end, self.size))

    def _append(self, data: bytes) -> None:
        self._write(data)
        self.size += len(data)

    def _record(self, number: int, time: int, picture: Bitstream) -> bytes:
        one, header = picture.header, self.header
        found = one.fingerprint, one.height, one.width, one.tile
        if found != (header.fingerprint, header.height, header.width, header.tile):
            raise BitstreamError(f"frame {number}: its size, tiles or model are not the stream's")
        if picture.version != PICTURES:
            raise BitstreamError(f"frame {number}: expected version {PICTURES} of the picture")
        return s1.pack_frame(header, number, time, picture)


def opened(path: str | Path) -> FrameStream:
    """The stream in a file, which is read only where it is needed.

    Raises:
        BitstreamError: if the file cannot be read, or as `FrameStream`; the message names the file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            _version(file.read(64))
            return FrameStream(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except BitstreamError as error:
        raise BitstreamError(f"{str(path)!r}: {error}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path, a pipe
        reason = getattr(error, "strerror", None) or str(error)
        raise BitstreamError(f"cannot read {str(path)!r}: {reason}; check the name") from error


def described(stream: FrameStream) -> dict[str, Any]:
    """What `vcm info` prints about a stream, as values for JSON; all frames are read."""
    header, qualities, lost = stream.header, [], []
    for number in range(len(stream)):
        picture = stream.whole(number)
        if picture is None:
            lost.append(number)
        else:
            qualities.append(picture.header.quality / 100)
    seconds = float(stream.seconds(len(stream))) if len(stream) else 0.0
    pixels = len(stream) * header.height * header.width
    return {
        "version": stream.version,
        "height": header.height,
        "width": header.width,
        "frames": len(stream),
        "seconds": seconds,
        "fps": float(1 / (header.tick * header.step)),
        "bytes": stream.size,
        "kbps": 8 * stream.size / seconds / 1000 if seconds else None,
        "bpp": 8 * stream.size / pixels if pixels else None,
        "quality": sum(qualities) / len(qualities) if qualities else None,
        "tile": header.tile,
        "fingerprint": header.fingerprint.hex(),
        "text": header.text,
        "lost": lost,
        "said": stream.said or None,
    }


def _version(data: Data) -> int:
    """The version that a stream's first bytes state; refuses other files with a clear message."""
    start = data[:64]
    if not start:
        raise BitstreamError("the file is empty; get it again from where it came")
    if not start.startswith(MAGIC[: len(start)]):
        found = foreign.name_of(start) or start[:4].hex(" ")
        raise BitstreamError(f"expected a .vcms stream, got {found}")
    version = start[len(MAGIC)] if len(start) > len(MAGIC) else s1.VERSION
    if version not in STREAMS:
        raise BitstreamError(
            f"the stream has format version {version}, this vcm reads {max(STREAMS)}: "
            f"it was made by a newer vcm (update yours) or is damaged"
        )
    return version
