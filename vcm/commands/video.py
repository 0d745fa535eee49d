"""`vcm encode` and `vcm roi` of clips."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from vcm import draw, video
from vcm.commands import places, words
from vcm.commands.progress import shown
from vcm.commands.roi import RoiOptions, backend_of, chooser
from vcm.errors import SpecError
from vcm.roi.mask import NOTHING, RoiMask
from vcm.video import Clip, Frame, Raw, Span
from vcm.video.codecs import Settings
from vcm.video.follow import Following, Masked, follow
from vcm.video.join import container_of
from vcm.video.write import ClipWriter, Written

Report = dict[str, Any]
Write = Callable[[Iterable[Masked], Clip], Written]
SHOWN: Final = Settings(crf=18)  # of the clip that shows masks: for eyes


@dataclass(frozen=True)
class ClipOptions:
    """The options of `vcm.commands.clips`, one to one."""

    frames: str | None = None
    fps: str | None = None
    every: int = 5
    raw: str | None = None
    rate: str | None = None
    codec: str | None = None
    crf: int | None = None
    kbps: float | None = None
    preset: str | None = None
    low_delay: bool = False
    intra: bool = False
    no_sound: bool = False

    def opened(self, source: Path) -> Clip:
        """The clip, its header and first frame read."""
        rate = _fraction("--rate", self.rate)
        raw = None if self.raw is None else _raw(self.raw)
        return video.open(source, self.span(), raw=raw, rate=rate)

    def span(self) -> Span:
        """The frames that are taken."""
        first, colon, last = (self.frames or ":").partition(":")
        try:
            ends = int(first or 0), int(last) if last else None
        except ValueError:
            colon = ""
        if not colon:
            raise SpecError(f"--frames: expected FIRST:LAST such as 100:200, got {self.frames!r}")
        return Span(*ends, _fraction("--fps", self.fps))


def encode(source: Path, output: Path, roi: RoiOptions, options: ClipOptions) -> Report:
    """Code a clip by a standard codec that is told what matters."""
    if options.codec is None:
        raise SpecError(
            "name an output that ends in .vcms to code the clip as a stream of ours; for a file "
            "that players open, give --codec, such as x265+roi"
        )
    o = options
    settings = Settings(o.crf, o.kbps, o.preset, o.low_delay, o.intra)
    writer = ClipWriter(options.codec, settings)
    if "+" in options.codec and not roi.ways:
        raise SpecError(f"--codec {options.codec} spends bits where words say; give --text")
    container_of(output)  # before models are loaded
    sound = str(source) if has_sound(source, options) else None

    def write(masked: Iterable[Masked], clip: Clip) -> Written:
        return writer(masked, clip, output, sound)

    return written(source, output, roi, options, write) | {"codec": options.codec}


def show(source: Path, output: Path, roi: RoiOptions, options: ClipOptions) -> Report:
    """Draw over each frame what an ROI choice selects in it."""
    if not roi.ways:
        raise SpecError("there is no ROI to show; give it by --text, --task, --mask or --box")
    container_of(output)
    sound, writer = str(source) if has_sound(source, options) else None, ClipWriter("x264", SHOWN)

    def write(masked: Iterable[Masked], clip: Clip) -> Written:
        return writer(map(_drawn, masked), clip, output, sound)

    return written(source, output, roi, options, write)


def written(
    source: Path, output: Path, roi: RoiOptions, options: ClipOptions, write: Write
) -> Report:
    """Write a clip; returns a report.

    Args:
        write: makes the output from frames with their masks.
    """
    if roi.importance or roi.mask_values:
        raise SpecError(
            "everything in a clip's ROI has the same weight; "
            "leave out --importance and --mask-values"
        )
    places.apart(output, source, roi.mask)
    clip, backend, start = options.opened(source), backend_of(roi), time.perf_counter()
    told, tally = words.said(backend, roi.spec()), ClipTally()
    frames = shown(clip, clip.length, f"{source.name}: frames")
    masked = tally.counted(_masked(frames, roi, backend, options))
    made = write(masked, clip)
    return {
        "file": str(output), "bytes": made.bytes, "kbps": made.kbps,
        "frames": made.frames, "seconds": made.seconds, "sounds": made.sounds,
        **tally.report(), "notes": clip.notes, "seconds_work": time.perf_counter() - start, **told,
    }  # fmt: skip


def has_sound(source: Path, options: ClipOptions) -> bool:
    """Whether a source may hold sound that is wanted: pipes, folders and bare samples do not."""
    return not options.no_sound and options.raw is None and source.is_file()


def _masked(
    frames: Iterable[Frame], roi: RoiOptions, backend: Any, options: ClipOptions
) -> Iterator[Masked]:
    """The frames with their masks: of words they follow, all else is one mask for all."""
    spec = roi.spec()
    if spec is not None:
        yield from follow(frames, spec, backend, Following(options.every), roi.on_empty or "whole")
        return
    choose, mask = chooser(roi, None), None
    for frame in frames:
        mask = choose(frame.image) if mask is None else mask
        yield Masked(frame, mask)


def _drawn(masked: Masked) -> Masked:
    """The frame with the outline of its mask, to be coded evenly."""
    outlined = draw.outlined(masked.frame.image, masked.mask.roi)
    return Masked(masked.frame._replace(image=outlined), masked.mask)


class ClipTally:
    """What masks were like, over all frames."""

    def __init__(self) -> None:
        self._count, self._share, self._empty = 0, 0.0, 0
        self._mask: RoiMask | None = None

    def counted(self, masked: Iterable[Masked]) -> Iterator[Masked]:
        """The same frames."""
        for one in masked:
            empty = NOTHING in one.mask.source
            self._count, self._empty = self._count + 1, self._empty + empty
            self._share += one.mask.share
            if self._mask is None or not empty:
                self._mask = one.mask
            yield one

    def report(self) -> Report:
        """Once all are through."""
        assert self._mask is not None
        share = self._share / self._count
        return {
            "roi": self._mask.source, "roi_share": share, "sigma": self._mask.sigma,
            "nothing_found": self._empty,
        }  # fmt: skip


def lines(report: Report) -> list[str]:
    """The report for people."""
    r = report
    by = f" by {r['codec']}" if "codec" in r else ""
    text = [
        f"{r['file']}: {r['frames']} frames, {r['seconds']:.2f} s, {r['kbps']:.1f} kbps{by}, "
        f"{r['bytes']} bytes" + (", sound copied" if r["sounds"] else ""),
        f"ROI: {r['roi']}, {100 * r['roi_share']:.1f} % of the pixels; outside: sigma "
        f"{r['sigma']:g}",
        f"time: {r['seconds_work']:.1f} s",
    ]
    if r["nothing_found"]:
        text.append(f"the words found nothing in {r['nothing_found']} frames")
    return text + [f"note: {note}" for note in r["notes"]]


def _fraction(name: str, text: str | None) -> Fraction | None:
    """A rate, of "25" or "30000/1001"."""
    try:
        value = None if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value is not None and not 0 < value <= 1000:
        raise SpecError(f"{name}: expected frames a second, such as 5 or 30000/1001, got {text!r}")
    return value


def _raw(text: str) -> Raw:
    """Of "768x432" or "768x432:yuv420p10le"."""
    size, _, pixels = text.partition(":")
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise SpecError(f"--raw: expected WIDTHxHEIGHT[:FORMAT] such as 768x432, got {text!r}")
    return Raw(int(width), int(height), pixels or "yuv420p")
