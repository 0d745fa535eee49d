"""From frames and masks to a file."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from vcm.errors import ImageError
from vcm.files import draft_of, finish, writing
from vcm.video.clip import Clip
from vcm.video.codecs import Settings, parsed
from vcm.video.encoder import ClipEncoder, ClipJob
from vcm.video.follow import Masked
from vcm.video.join import Sound, Times, check_sound, container_of, joined
from vcm.video.library import ByLibrary
from vcm.video.program import ByProgram, KvazaarProgram
from vcm.video.steer import MODES

RUN: Final[Mapping[str, Callable[[ClipJob], ClipEncoder]]] = {
    "library": ByLibrary,
    "program": ByProgram,
    "kvazaar": KvazaarProgram,
}


@dataclass(frozen=True)
class Written:
    """A file that is there.

    Attributes:
        frames: in it.
        seconds: that they last.
        bytes: of the file.
        picture_bytes: of its pictures, without container and sound.
        sounds: streams that were copied.
    """

    frames: int
    seconds: float
    bytes: int
    picture_bytes: int
    sounds: int

    @property
    def kbps(self) -> float:
        """Kilobits a second of the pictures."""
        return 8 * self.picture_bytes / self.seconds / 1000


class ClipWriter:
    """Makes files of one codec.

    Args:
        codec: a name of `vcm.video.codecs.names`, such as "x265+roi".
        settings: of its encoder.

    Raises:
        SpecError: if there is no such codec, or it does not have one of the settings.

    Example:
        >>> clip, task = video.open("clip.mp4"), vcm.find_task("coco-person")
        >>> masked = follow(clip, task, vcm.load_backend("embedded"), Following(every=4))
        >>> written = ClipWriter("x265+roi", Settings(crf=30))(masked, clip, Path("out.mp4"))
        >>> written.frames, written.seconds
        (4, 0.16)
    """

    def __init__(self, codec: str, settings: Settings):
        self._row, mode = parsed(codec)
        self._told, self.settings = MODES[mode], self._row.checked(settings)

    def __call__(
        self, masked: Iterable[Masked], clip: Clip, output: Path, sound: str | None = None
    ) -> Written:
        """Write a file, completely or not at all; only a few frames are in memory.

        Sides that the codec does not have are one pixel larger, the last row or column repeated.

        Args:
            masked: frames of the clip.
            output: its suffix says the container, see `vcm.video.join.CONTAINERS`.
            sound: a file whose sound is copied.

        Raises:
            OutputError: if there is no such container, it cannot hold the sound, or the disk fails.
            SpecError: if the encoder cannot do it.
            ImageError: if there is no frame.
        """
        container_of(output)
        sounds = check_sound(sound, output) if sound is not None else 0
        draft, pictures = draft_of(output), draft_of(output.with_name(f"{output.name}.pictures"))
        try:
            with writing(output):
                draft.touch()
            starts = self._encoded(masked, clip, pictures)
            last = 1 / clip.rate
            times = Times([start - starts[0] for start in starts], last, clip.tick)
            span = Sound(sound, starts[0], starts[-1] + last) if sound and sounds else None
            size = joined(pictures, times, span, draft, output)
            finish(draft, output)
        finally:
            for path in (draft, pictures):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        seconds = float(times.starts[-1] + last)
        return Written(len(starts), seconds, output.stat().st_size, size, sounds)

    def _encoded(self, masked: Iterable[Masked], clip: Clip, path: Path) -> list[Fraction]:
        """Write a file of the pictures alone; their times in the source."""
        job = ClipJob(
            path, clip.height, clip.width, clip.rate, clip.aspect, self._row, self.settings
        )
        encoder, times = RUN[self._row.by](job), []
        try:
            for frame, mask in masked:
                if frame.image.shape[:2] != (clip.height, clip.width):
                    raise ImageError(f"{clip.name}: frame {frame.number} has another size")
                encoder.put(self._told(frame.image, mask))
                times.append(frame.time)
            if not times:
                raise ImageError(f"{clip.name}: there is no frame in this part of it")
            encoder.close()
        except BaseException:  # Ctrl-C too must leave no process behind
            encoder.drop()
            raise
        return times
