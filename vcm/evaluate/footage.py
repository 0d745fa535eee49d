"""The part of a clip that an evaluation uses."""

from dataclasses import dataclass
from pathlib import Path

from vcm import video
from vcm.video import Clip, Span


@dataclass(frozen=True)
class Footage:
    """Frames instead of photos.

    Attributes:
        path: of the clip.
        span: which of its frames.
        every: words are looked for in every n-th of them.
        rate: frames a second.
    """

    path: Path
    span: Span
    every: int
    rate: float

    @property
    def second(self) -> int:
        """Frames in a second, which resamples include or leave out as a whole."""
        return max(1, round(self.rate))

    @property
    def key(self) -> list[str]:
        """Everything that the frames and their masks depend on here."""
        stat = self.path.stat()
        return [str(self.path), f"{stat.st_size} {stat.st_mtime_ns}", str(self.span),
                str(self.span.fps), str(self.every)]  # fmt: skip

    def opened(self) -> Clip:
        """The clip; raises as `vcm.video.open`."""
        return video.open(self.path, self.span)


def footage(path: Path, span: Span, every: int) -> Footage:
    """The part of a clip, with its frame rate; raises as `vcm.video.open`."""
    return Footage(path, span, every, float(video.open(path, span).rate))
