"""What describes a .vcms stream of any version: what its frames share, and where each one is."""

import mmap
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Final, NamedTuple

from vcm.container.header import Header
from vcm.container.sections import check_text
from vcm.errors import BitstreamError

Data = bytes | mmap.mmap
MAX_HEAD: Final = 2**16  # bytes of a header
MAX_TIME: Final = 2**34  # ticks
MAX_NUMBER: Final = 2**32  # above the terms of fractions


class Slot(NamedTuple):
    """Where a frame is.

    Attributes:
        time: in ticks from the start.
        at: position of its record in the file.
        size: bytes of the record; 0: the frame is lost.
    """

    time: int
    at: int
    size: int


@dataclass(frozen=True)
class StreamHeader:
    """What all frames of a stream share.

    Attributes:
        fingerprint, height, width, tile: those of each picture, see `Header`.
        tick: the unit of times, in seconds.
        step: ticks that a frame usually lasts, 1 or more.
        aspect: width of a pixel over its height.
        text: the phrases that chose the ROI, if their user wanted them stored.

    Raises:
        BitstreamError: if a value is not as above, or a fraction's terms are 2^32 or more.
    """

    fingerprint: bytes
    height: int
    width: int
    tick: Fraction
    step: int
    tile: int = 0
    aspect: Fraction = Fraction(1)
    text: str | None = None

    def __post_init__(self) -> None:
        Header(self.fingerprint, self.height, self.width, 0, self.tile)
        for name, value in (("tick", self.tick), ("aspect", self.aspect)):
            if value <= 0 or max(value.as_integer_ratio()) >= MAX_NUMBER:
                raise BitstreamError(
                    f"header: expected a {name} over 0 with terms below 2^32, got {value}"
                )
        if not 1 <= self.step < MAX_TIME:
            raise BitstreamError(f"header: expected a step of 1 tick or more, got {self.step}")
        if self.text is not None:
            check_text(self.text)


def fraction(numerator: int, denominator: int) -> Fraction:
    """From its terms in a file; raises BitstreamError if one is 0 or they can be reduced."""
    if not numerator or not denominator or gcd(numerator, denominator) > 1:
        raise BitstreamError(
            f"header: expected a fraction over 0 in lowest terms, got {numerator}/{denominator}"
        )
    return Fraction(numerator, denominator)


def text_of(body: bytes) -> str:
    """The text in a section's bytes; raises BitstreamError if they are not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BitstreamError(f"section text: not UTF-8 ({error})") from error
