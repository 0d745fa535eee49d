"""Clips in: what stands for one, and what reads it."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.video.clip import Clip, Frame, Span, Stored
from vcm.video.source import PIPE, Raw, Stream

RATE: Final = Fraction(25)  # frames a second of what does not say
RAW: Final = (".yuv", ".rgb", ".raw")
CLIPS: Final = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg",
    ".flv", ".wmv", ".3gp", ".y4m", ".h264", ".264", ".hevc", ".h265", ".265", ".ivf", ".obu",
    ".266", ".vvc", ".nut", *RAW,
)  # fmt: skip
ALL: Final = Span()


class Pictures:
    """A folder of pictures, in the order of their names: a `Clip`.

    Args:
        rate: frames a second.

    Raises:
        ImageError: if there is no picture in it, or the first cannot be read.
    """

    def __init__(self, folder: Path, span: Span, rate: Fraction):
        self.name, self._span, self._rate = str(folder), span, rate
        self._paths = image.folder(folder)
        self.height, self.width = image.read(self._paths[0]).shape[:2]
        self.rate, self.tick, self.aspect = span.rate(rate), 1 / rate, Fraction(1)
        self.notes: list[str] = []

    @property
    def length(self) -> int | None:
        return self._span.length(len(self._paths), self._rate)

    def __iter__(self) -> Iterator[Frame]:
        return self._span.of(
            Stored(i, i / self._rate, partial(image.read, p)) for i, p in enumerate(self._paths)
        )


def is_clip(path: Path) -> bool:
    """Whether a path stands for a clip by its name: a folder may as well be one, and does not."""
    return str(path) == PIPE or path.suffix.lower() in CLIPS


def open(
    path: str | Path, span: Span = ALL, *, raw: Raw | None = None, rate: Fraction | None = None
) -> Clip:
    """A clip: a file of any format that ffmpeg reads, a folder of pictures, or "-", a pipe.

    Frames are upright RGB of 8 bit; what has more bits is rounded, and `notes` says so. Times are
    those of the source. Frames that are damaged or missing at the end are noted and stop nothing.

    Args:
        span: which frames are taken.
        raw: size and pixel format of bare samples.
        rate: frames a second of bare samples or of a folder; None: 25.

    Raises:
        ImageError: if there is no such clip, or its first frame cannot be decoded.
        SpecError: if samples are bare and `raw` does not say of what size.
        MissingExtra: if PyAV is not installed.

    Example:
        >>> clip = video.open("clip.mp4", video.Span(1, 3))
        >>> [(frame.number, float(frame.time), frame.image.shape) for frame in clip]
        [(1, 0.04, (180, 320, 3)), (2, 0.08, (180, 320, 3))]
    """
    path = Path(path)
    if path.is_dir():
        return Pictures(path, span, rate or RATE)
    if path.suffix.lower() in RAW and raw is None:
        raise SpecError(f"{str(path)!r} holds bare samples: their size is not known", hint="raw")
    if str(path) != PIPE and not path.exists():
        raise ImageError(f"{str(path)!r}: there is no such file")
    return Stream(str(path), span, raw, rate or RATE)
