"""What a clip is, whatever it is read from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.errors import SpecError

Image = NDArray[np.uint8]  # (H, W, 3) RGB


class Frame(NamedTuple):
    """A picture of a clip.

    Attributes:
        number: its place in the source, from 0.
        time: seconds in the source, exact; times rise from frame to frame.
        image: (H, W, 3) uint8, RGB, upright.
    """

    number: int
    time: Fraction
    image: Image


class Stored(NamedTuple):
    """A frame that is made only if it is wanted.

    Attributes:
        number, time: as those of `Frame`.
        image: makes the picture.
    """

    number: int
    time: Fraction
    image: Callable[[], Image]


class Clip(Protocol):
    """Frames one after another; few are in memory at any time.

    Attributes:
        name: for people.
        width, height: of every frame, upright.
        rate: frames a second, on average.
        tick: seconds; every time is a multiple of it where the source keeps to its own word.
        aspect: width of a pixel over its height.
        notes: a sentence each on what was odd, complete when the last frame is through.
    """

    name: str
    width: int
    height: int
    rate: Fraction
    tick: Fraction
    aspect: Fraction
    notes: list[str]

    @property
    def length(self) -> int | None:
        """How many frames will come by the word of the source; None: it does not say."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames from the first.

        Raises:
            ImageError: if there is none, or a pipe is read a second time.
        """
        ...


@dataclass(frozen=True)
class Span:
    """Which frames of a source are taken.

    Attributes:
        first, last: half-open, counted in the source; None: to the end.
        fps: at most so many a second; None: all of them.

    Raises:
        SpecError: if these are no numbers of frames.
    """

    first: int = 0
    last: int | None = None
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if self.first < 0 or (self.last is not None and self.last <= self.first):
            raise SpecError(f"frames: expected FIRST:LAST with FIRST < LAST, got {self}")
        if self.fps is not None and self.fps <= 0:
            raise SpecError(f"frames a second: expected a number over 0, got {self.fps}")

    def __str__(self) -> str:
        return f"{self.first}:{'' if self.last is None else self.last}"

    def of(self, frames: Iterator[Stored]) -> Iterator[Frame]:
        """Those that are taken; the others are never made."""
        due: Fraction | None = None
        for number, time, image in frames:
            if self.last is not None and number >= self.last:
                return
            if number < self.first or (due is not None and time < due):
                continue
            if self.fps is not None:  # by the grid from the first one, so that no error adds up
                due = time if due is None else due
                due += (1 + (time - due) // (1 / self.fps)) / self.fps
            yield Frame(number, time, image())

    def length(self, there: int | None, rate: Fraction) -> int | None:
        """How many are taken of so many."""
        last = there if self.last is None else min(self.last, there or self.last)
        if last is None:
            return None
        count = max(0, last - self.first)
        return count if self.fps is None or self.fps >= rate else -int(-count * self.fps // rate)

    def rate(self, rate: Fraction) -> Fraction:
        """Frames a second that are left of so many."""
        return rate if self.fps is None else min(rate, self.fps)
