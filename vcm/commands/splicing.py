"""`vcm cut` and `vcm join`: coded frames are copied as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vcm.commands import losses
from vcm.commands.places import apart
from vcm.container import splice
from vcm.container.stream import SUFFIX, FrameStream, opened
from vcm.errors import OutputError, SpecError
from vcm.files import drafted

Report = dict[str, Any]


def cut(source: Path, output: Path, frames: str) -> Report:
    """Write some frames of a stream as another stream; returns a report."""
    stream, (first, last) = opened(source), ends(frames)
    _check(output, [source])
    with drafted(output) as write:
        lost = splice.cut(stream, first, len(stream) if last is None else last, write)
    return _report(output, lost, {})


def join(sources: Sequence[Path], output: Path) -> Report:
    """Write streams one after another; returns a report."""
    if len(sources) < 2:
        raise SpecError("expected two or more streams to join; name them in their order")
    streams = [opened(source) for source in sources]
    _check(output, sources)
    with drafted(output) as write:
        lost = splice.join(streams, write)
    names = zip(sources, streams, strict=True)
    return _report(output, lost, {str(n): s.said for n, s in names if s.breaks_off})


def ends(frames: str) -> tuple[int, int | None]:
    """From "50:80": the first frame, and the one after the last or None."""
    first, colon, last = frames.partition(":")
    try:
        found = int(first or 0), int(last) if last else None
    except ValueError:
        colon = ""
    if not colon or found[0] < 0 or (found[1] is not None and found[1] <= found[0]):
        raise SpecError(
            f"--frames: expected FIRST:LAST with FIRST < LAST, such as 50:80, got {frames!r}"
        )
    return found


def lines(report: Report) -> list[str]:
    """The report for people."""
    r = report
    text = [f"{r['file']}: {r['frames']} frames, {r['seconds']:.2f} s, {r['bytes']} bytes"]
    text += losses.lines(r["lost"], "are damaged or lost, and are missing in the output too")
    return text + [f"{name}: {why}" for name, why in r["broken"].items()]


def _check(output: Path, sources: Sequence[Path]) -> None:
    if output.suffix.lower() != SUFFIX:
        raise OutputError(f"{str(output)!r}: expected a name that ends in {SUFFIX}")
    for source in sources:
        apart(output, source)


def _report(output: Path, lost: list[int], broken: dict[str, str]) -> Report:
    stream: FrameStream = opened(output)
    return {
        "file": str(output), "frames": len(stream), "bytes": stream.size,
        "seconds": float(stream.seconds(len(stream))), "lost": lost, "broken": broken,
        "failed": losses.failed(stream, dict.fromkeys(lost, "damaged or lost")) | broken,
    }  # fmt: skip
