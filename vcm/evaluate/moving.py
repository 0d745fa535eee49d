"""Codecs of clips in an evaluation: "vcm:sigma=0.3", "x265+roi:gop=low:at=28/34/40"."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from vcm import codec as codec_package
from vcm import container, pipeline, video
from vcm import video as video_package
from vcm.anchors import ffmpeg
from vcm.codec.api import Codec
from vcm.container.stream import opened
from vcm.errors import SpecError
from vcm.evaluate.digest import digest_of
from vcm.evaluate.modes import Defaults
from vcm.evaluate.rated import Rated
from vcm.evaluate.rated import Settings as Ladder
from vcm.provenance import processor, versions
from vcm.video import Clip, Span
from vcm.video.codecs import Settings, names, parsed
from vcm.video.coded import StreamEncoder
from vcm.video.decoded import StreamClip
from vcm.video.follow import Masked
from vcm.video.join import sizes
from vcm.video.write import ClipWriter

OURS: Final = "vcm"
QUALITIES: Final[Ladder] = (0, 12, 25, 40, 55)
STEPS: Final = 5  # settings of a standard codec, from its default on
GOPS: Final = {  # how frames depend on each other -> in words, and the settings
    "random": ("random access", {}),
    "low": ("low delay", {"low_delay": True}),
    "intra": ("all intra", {"intra": True}),
}


class MovingCodec(Rated, Protocol):
    """A codec for clips that an evaluation measures."""

    @property
    def suffix(self) -> str:
        """The suffix of its files' names."""

    def write(self, masked: Iterable[Masked], clip: Clip, setting: float, path: Path) -> list[int]:
        """Code frames of a clip; the bytes of each. Raises a VcmError as its encoder does."""

    def read(self, path: Path) -> Clip:
        """The decoded frames, which may be a row or column larger than the source."""


@dataclass(frozen=True)
class Standard:
    """A standard codec; its settings are CRFs. Bytes do not include the container."""

    codec: str
    way: Settings
    gop: str
    settings: Ladder
    suffix: str = ".mp4"

    @property
    def name(self) -> str:
        preset = f", {self.way.preset}" if self.way.preset else ""
        return f"{self.codec}, {self.gop}{preset}"

    @property
    def key(self) -> str:
        av = versions().get("av", "")
        return f"{self.name} {digest_of(video_package)} {ffmpeg.version()} {av}"

    def write(self, masked: Iterable[Masked], clip: Clip, setting: float, path: Path) -> list[int]:
        ClipWriter(self.codec, replace(self.way, crf=int(setting)))(masked, clip, path)
        return sizes(path)

    def read(self, path: Path) -> Clip:
        return video.open(path)


@dataclass(frozen=True)
class Streamed:
    """Ours; its settings are qualities. Bytes are those of the whole file."""

    codec: Codec
    weights: str
    sigma: float
    settings: Ladder
    suffix: str = ".vcms"

    @property
    def name(self) -> str:
        label = "vcm" if self.weights == "base" else f"vcm {Path(self.weights).stem}"
        return f"{label}, sigma {self.sigma:g}"

    @property
    def key(self) -> str:
        code = digest_of(codec_package, pipeline, container)
        return f"{self.name} {self.codec.card['sha256']} {code} {versions()['torch']} {processor()}"

    def write(self, masked: Iterable[Masked], clip: Clip, setting: float, path: Path) -> list[int]:
        own = (Masked(frame, mask.at(self.sigma)) for frame, mask in masked)
        StreamEncoder(self.codec, quality=setting)(own, clip, path)
        stream = opened(path)
        found = [slot.size for slot in stream.slots]
        found[0] += stream.size - sum(found)
        return found

    def read(self, path: Path) -> Clip:
        return StreamClip(path.name, opened(path), self.codec, Span())


class _Text(NamedTuple):
    """A codec's text, parsed."""

    base: str
    options: dict[str, str]


def check(text: str) -> None:
    """Refuse a text that names no codec; raises SpecError."""
    taken = _taken(text)
    if taken.base != OURS:
        _standard(text, taken)


def build(text: str, defaults: Defaults) -> MovingCodec:
    """The codec that a text names.

    Raises:
        SpecError: if it names none.
        ModelError: if its weights cannot be loaded.
    """
    taken = _taken(text)
    if taken.base != OURS:
        return _standard(text, taken)
    o = taken.options
    weights, at = o.get("weights", defaults.weights), _read(text, o, "at", _numbers)
    sigma = _read(text, o, "sigma", float) or defaults.sigma
    return Streamed(Codec.load(weights, device=defaults.device), weights, sigma, at or QUALITIES)


def _standard(text: str, taken: _Text) -> Standard:
    o, gop = taken.options, taken.options.get("gop", "random")
    if gop not in GOPS:
        raise SpecError(f"codec {text!r}: expected gop to be {' or '.join(GOPS)}, got {gop!r}")
    told, more = GOPS[gop]
    row, _ = parsed(taken.base)
    way = Settings(preset=o.get("preset"), **more)
    at = _read(text, o, "at", _numbers) or _ladder(*row.crf[1:])
    for setting in at:
        row.checked(replace(way, crf=int(setting)))
    return Standard(taken.base, way, told, at)


def _ladder(usual: int, worst: int) -> Ladder:
    """CRFs from a codec's default towards fewer bits."""
    return tuple(float(round(usual + (worst - usual) * i / STEPS)) for i in range(STEPS))


def _taken(text: str) -> _Text:
    base, *pairs = text.strip().split(":")
    if base != OURS and base not in names():
        raise SpecError(f"codec {text!r}: for clips expected {OURS}, {', '.join(names())}")
    allowed = ("sigma", "weights", "at") if base == OURS else ("gop", "preset", "at")
    options = dict(pair.partition("=")[::2] for pair in pairs)
    if strange := [name for name in options if name not in allowed]:
        raise SpecError(
            f"codec {text!r}: unknown option {strange[0]!r}; expected {', '.join(allowed)}"
        )
    return _Text(base, options)


def _read(text: str, options: dict[str, str], name: str, how: Callable[[str], Any]) -> Any:
    """The value of an option; None where it is not given."""
    try:
        return how(options[name]) if name in options else None
    except ValueError as error:
        raise SpecError(f"codec {text!r}: {name} cannot be {options[name]!r}") from error


def _numbers(text: str) -> Ladder:
    return tuple(float(part) for part in text.split("/"))
