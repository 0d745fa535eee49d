"""`vcm decode` of a .vcms stream: to a clip that players open, to raw frames, or to pictures."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from vcm import image
from vcm.commands import losses
from vcm.commands.decode import Decoding
from vcm.commands.places import apart
from vcm.commands.progress import shown
from vcm.commands.splicing import ends
from vcm.container.stream import FrameStream, opened
from vcm.errors import OutputError
from vcm.files import make_folder
from vcm.roi.mask import RoiMask
from vcm.video.clip import Frame, Span
from vcm.video.codecs import Settings
from vcm.video.decoded import StreamClip
from vcm.video.follow import Masked
from vcm.video.join import CONTAINERS
from vcm.video.write import ClipWriter
from vcm.video.y4m import write_y4m

Report = dict[str, Any]
NEARLY: Final = Settings(crf=10)  # of x264: nearly no loss that a person sees
Y4M: Final = ".y4m"


def run(
    source: Path,
    output: Path,
    how: Decoding,
    overwrite: bool = False,
    frames: str | None = None,
    workers: int | None = None,
) -> Report:
    """Decode a stream, or some of its frames; returns a report.

    Raises:
        BitstreamError: if it is not a stream, or none of the frames is whole.
        ModelError: if it was made with other weights.
        OutputError: if the output cannot be written, or would replace something.
    """
    stream = opened(source)
    span = Span(*ends(frames or ":"))
    _check(source, output)
    numbers = range(len(stream))[span.first : span.last]
    if not _is_file(output):
        _check_folder(output, numbers, overwrite)
    codec, start = how.codec_of(stream.header.fingerprint), time.perf_counter()
    clip = StreamClip(source.name, stream, codec, span, workers)
    _write(shown(clip, clip.length, f"{source.name}: frames"), clip, output)
    if output.suffix.lower() not in CONTAINERS and _varies(stream, numbers):
        clip.notes.append("its frames are unevenly spaced; only .mp4, .mov and .mkv keep that")
    last = numbers[-1] + 1
    return {
        "file": str(output), "frames": len(numbers), "width": clip.width, "height": clip.height,
        "seconds": float(stream.seconds(last) - stream.seconds(numbers[0])),
        "lost": sorted(clip.lost), "notes": clip.notes,
        "seconds_decode": time.perf_counter() - start,
        "failed": losses.failed(stream, clip.lost),
    }  # fmt: skip


def lines(report: Report) -> list[str]:
    """The report for people."""
    r = report
    text = [
        f"{r['file']}: {r['frames']} frames of {r['width']} x {r['height']}, {r['seconds']:.2f} s, "
        f"decoded in {r['seconds_decode']:.1f} s"
    ]
    text += losses.lines(r["lost"], "could not be decoded; another frame is shown in their place")
    return text + [f"note: {note}" for note in r["notes"]]


def _write(frames: Iterable[Frame], clip: StreamClip, output: Path) -> None:
    if output.suffix.lower() == Y4M:
        write_y4m(frames, clip, output)
    elif output.suffix.lower() in CONTAINERS:
        ClipWriter("x264", NEARLY)(_evenly(frames), clip, output)
    else:
        make_folder(output)
        for frame in frames:
            image.write(output / _name(frame.number), frame.image)


def _evenly(frames: Iterable[Frame]) -> Iterator[Masked]:
    """The frames with masks in which everything counts the same."""
    for frame in frames:
        everything = np.ones(frame.image.shape[:2], np.bool_)
        yield Masked(frame, RoiMask(everything, 1.0, "all"))


def _is_file(output: Path) -> bool:
    return output.suffix.lower() in (*CONTAINERS, Y4M)


def _check(source: Path, output: Path) -> None:
    apart(output, source)
    if _is_file(output) or output.is_dir() or not (output.suffix or output.exists()):
        return
    names = ", ".join((*CONTAINERS, Y4M))
    raise OutputError(f"{str(output)!r}: expected a name that ends in {names}, or a folder")


def _check_folder(output: Path, numbers: range, overwrite: bool) -> None:
    there = (output / _name(number) for number in numbers)
    if not overwrite and (taken := next((path for path in there if path.exists()), None)):
        raise OutputError(f"{str(taken)!r} exists already; name another folder", hint="replace")


def _name(number: int) -> str:
    return f"{number:06}.png"


def _varies(stream: FrameStream, numbers: range) -> bool:
    """Whether the frames come at a visibly uneven rate."""
    times = [stream.slots[number].time for number in numbers]
    gaps = {b - a for a, b in zip(times, times[1:], strict=False)}
    return bool(gaps) and max(gaps) - min(gaps) > 1
