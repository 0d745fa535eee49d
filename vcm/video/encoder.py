"""What runs an encoder; each makes a file of pictures alone, at a constant rate."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from vcm.errors import SpecError
from vcm.video.codecs import Row, Settings
from vcm.video.steer import Told

# encoders say so and go on with what they have
REJECTED: Final = re.compile(
    r"error parsing option|unknown option|invalid option|skipping roi|invalid argument|"
    r"not currently supported|not supported|unrecognized",
    re.IGNORECASE,
)


class ClipJob(NamedTuple):
    """What a clip becomes.

    Attributes:
        path: of the mp4 file that is made.
        height, width: of the frames.
        rate: frames a second.
        aspect: width of a pixel over its height.
        row, settings: checked.
    """

    path: Path
    height: int
    width: int
    rate: Fraction
    aspect: Fraction
    row: Row
    settings: Settings


class ClipEncoder(Protocol):
    """Takes frames one after another."""

    def put(self, told: Told) -> None:
        """One more.

        Raises:
            SpecError: if the encoder fails or rejects an option.
            OutputError: if the disk does.
        """

    def close(self) -> None:
        """The file is whole then; raises as `put`."""

    def drop(self) -> None:
        """End without a file that is whole. Does nothing after `close`."""


def check(encoder: str, lines: Iterable[str]) -> None:
    """Nothing is left out silently.

    Raises:
        SpecError: if an encoder said that it rejects an option.
    """
    for line in lines:
        if REJECTED.search(line):
            raise SpecError(f"{encoder} rejects what it was told: {line.strip()}")
