"""Where the frames of a stream are: from its index, or else by walking from record to record."""

from typing import Final, NamedTuple

from vcm.container import s1
from vcm.container.streams import Data, Slot, StreamHeader
from vcm.errors import BitstreamError

PATIENCE: Final = 8  # times the file's bytes that checksums may cover before the rest is given up


class Table(NamedTuple):
    """The frames of a stream.

    Attributes:
        slots: where each frame is, by its number.
        end: ticks at which the last one ends.
        said: why this was not read by the trailer and index; "" if it was.
        breaks_off: whether frames may be missing after the last one.
    """

    slots: list[Slot]
    end: int
    said: str = ""
    breaks_off: bool = False


def table(data: Data, header: StreamHeader, start: int) -> Table:
    """Where each frame is; the records begin at `start`. Damaged frames become lost slots."""
    if (found := s1.find_index(data, header, start)) is not None:
        return Table(*found)
    return Walk(data, header, start).table()


class Walk:
    """Goes from record to record, skipping damage up to the next one that is whole.

    Without an index, a frame's number and time are those in its own record. A number must be below
    the length of the file in bytes, which bounds how many lost slots a forged number can add.
    """

    def __init__(self, data: Data, header: StreamHeader, start: int):
        self._data, self._header, self._start = data, header, start
        self._slots: list[Slot] = []
        self._left = PATIENCE * len(data)

    def table(self) -> Table:
        """The frames that were found."""
        at = self._start
        while (head := self._next(at)) is not None:
            here, found = head
            self._take(found, here)
            at = found.end
        rest = self._index(at)
        if rest is not None:
            return Table(*rest, "the end of the file is damaged; no frame is lost by that")
        if not self._slots:
            return Table([], 0, "none of its frames is whole", True)
        end = self._slots[-1].time + self._header.step
        said = f"it breaks off after frame {len(self._slots) - 1}"
        return Table(self._slots, end, said, True)

    def _next(self, at: int) -> tuple[int, s1.FrameHead] | None:
        """Where the first whole record from a position on is, and its head; None: there is none."""
        while self._left > 0:
            found = self._data.find(bytes([s1.FRAME]), at)
            if found < 0:
                return None
            try:
                return found, self._whole(found)
            except BitstreamError:
                at = found + 1
        return None

    def _whole(self, at: int) -> s1.FrameHead:
        """The head of a whole record that may follow those before; raises BitstreamError if not."""
        head = s1.frame_head(self._data, at, self._header)
        count, before = len(self._slots), self._slots[-1].time if self._slots else -1
        number, time = head.number, head.time
        if not count <= number < len(self._data) or time - before < number - count + 1:
            raise BitstreamError("a frame's place is wrong")
        self._left -= head.end - at
        s1.check_record(self._data, at, head.end)
        return head

    def _take(self, head: s1.FrameHead, at: int) -> None:
        """Add a frame, and before it the lost ones, evenly spaced in time."""
        count, before = len(self._slots), self._slots[-1].time if self._slots else -1
        parts = head.number - count + 1
        for i in range(1, parts):
            self._slots.append(Slot(before + (head.time - before) * i // parts, at, 0))
        self._slots.append(Slot(head.time, at, head.end - at))

    def _index(self, at: int) -> tuple[list[Slot], int] | None:
        """The index after the last frame, found even if the trailer does not lead to it."""
        end = len(self._data) - s1.SIZE - len(s1.TRAILER)
        try:
            return s1.unpack_index(self._data, at, end, self._header, self._start)
        except BitstreamError:
            return None
