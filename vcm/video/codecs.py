"""Standard codecs of clips: one literal table. Nothing else asks which codec it deals with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from vcm.errors import SpecError

EncoderOptions = dict[str, str]
X26: Final = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
)  # fmt: skip
BITS: Final = {"yuv420p": 8, "yuv420p10le": 10}


@dataclass(frozen=True)
class Settings:
    """What an encoder is told besides the frames.

    Attributes:
        crf: quantiser of the ROI on the codec's own scale, lower is better; None: its default.
        kbps: instead of it, kilobits a second of the whole picture.
        preset: how hard it works, one of its own; None: its default.
        low_delay: no frame refers to a later one.
        intra: no frame refers to another one.
    """

    crf: int | None = None
    kbps: float | None = None
    preset: str | None = None
    low_delay: bool = False
    intra: bool = False


class Row(NamedTuple):
    """A codec.

    Attributes:
        encoder: ffmpeg's name of it.
        by: what runs it, a key of `vcm.video.encoder.RUN`.
        tag: how mp4 calls its stream.
        pixels: pixel format, a key of `BITS`.
        multiple: of the sides that it takes.
        presets: all, and which is the default.
        crf: lowest, default and highest.
        options: of ffmpeg for settings that have been checked.
        low_delay: whether it can.
        modes: how it is told what matters, see `vcm.video.steer.MODES`.
    """

    encoder: str
    by: str
    tag: str
    pixels: str
    multiple: int
    presets: tuple[tuple[str, ...], str]
    crf: tuple[int, int, int]
    options: Callable[[Settings], EncoderOptions]
    low_delay: bool
    modes: tuple[str, ...]

    def checked(self, settings: Settings) -> Settings:
        """The settings, defaults filled in.

        Raises:
            SpecError: if this codec does not have one of them.
        """
        presets, usual = self.presets
        low, default, high = self.crf
        if settings.preset not in (None, *presets):
            raise SpecError(f"preset: expected one of {', '.join(presets)}, got {settings.preset}")
        if settings.crf is not None and settings.kbps is not None:
            raise SpecError("the rate is set once; got a crf and kilobits a second")
        if settings.crf is not None and not low <= settings.crf <= high:
            raise SpecError(f"crf: expected {low} to {high}, got {settings.crf}")
        if settings.kbps is not None and not 0 < settings.kbps <= 1e6:
            raise SpecError(f"kbps: expected over 0, at most 1000000, got {settings.kbps:g}")
        if settings.low_delay and settings.intra:
            raise SpecError(
                "low delay and intra exclude each other: with intra no frame waits for another; "
                "give one of them"
            )
        if settings.low_delay and not self.low_delay:
            can = ", ".join(name for name, row in CODECS.items() if row.low_delay)
            raise SpecError(f"{self.encoder} has no low delay here; {can} have it")
        crf = default if settings.crf is None and settings.kbps is None else settings.crf
        return replace(settings, crf=crf, preset=settings.preset or usual)


def _x26(settings: Settings, more: EncoderOptions) -> EncoderOptions:
    options = {"preset": str(settings.preset)} | more
    if settings.crf is not None:
        options["crf"] = str(settings.crf)
    return options | ({"tune": "zerolatency"} if settings.low_delay else {}) | _alone(settings)


def _alone(settings: Settings) -> EncoderOptions:
    """The option that makes every frame a key frame, if wanted."""
    return {"g": "1"} if settings.intra else {}


# Both: their default, which the fastest presets switch off, and with it the map of QPs.
def _x264(settings: Settings) -> EncoderOptions:
    return _x26(settings, {"aq-mode": "1"})


def _x265(settings: Settings) -> EncoderOptions:
    # info=0: otherwise the encoder writes 2.3 kB of text about itself into each intra frame
    parameters = "log-level=error:info=0:aq-mode=2:aq-strength=1:qg-size=16"
    return _x26(settings, {"x265-params": parameters})


def _svt(settings: Settings) -> EncoderOptions:
    options = {"preset": str(settings.preset)}
    if settings.low_delay:
        options["svtav1-params"] = "pred-struct=1"
    if settings.crf is not None:
        options["crf"] = str(settings.crf)
    elif settings.low_delay:  # its constant rate, the only one that it has there
        options["maxrate"] = str(bits_of(settings))
    return options | _alone(settings)


def _vvenc(settings: Settings) -> EncoderOptions:
    options = {"preset": str(settings.preset)} | _alone(settings)
    return options if settings.crf is None else options | {"qp": str(settings.crf)}


def _kvazaar(settings: Settings) -> EncoderOptions:
    gop = "lp-g4d3t1" if settings.low_delay else "0,period=1" if settings.intra else "8"
    parameters = f"preset={settings.preset},gop={gop},info=0"
    if settings.crf is not None:
        parameters += f",qp={settings.crf}"
    return {"kvazaar-params": parameters}


def bits_of(settings: Settings) -> int | None:
    """Bits a second, where they are set."""
    return None if settings.kbps is None else round(1000 * settings.kbps)


BLUR: Final = ("blur",)
ROI: Final = ("roi", "blur")
KVAZAAR: Final = (*X26[:-1], "placebo")
CODECS: Final[Mapping[str, Row]] = {
    "x264": Row("libx264", "library", "avc1", "yuv420p", 2, (X26, "medium"), (0, 23, 51), _x264,
                True, ROI),
    "x265": Row("libx265", "library", "hvc1", "yuv420p", 2, (X26, "medium"), (0, 28, 51), _x265,
                True, ROI),
    "svt-av1": Row("libsvtav1", "library", "av01", "yuv420p10le", 2,
                   (tuple(map(str, range(14))), "8"), (1, 35, 63), _svt, True, BLUR),
    "vvenc": Row("libvvenc", "program", "vvc1", "yuv420p10le", 2,
                 (("faster", "fast", "medium", "slow", "slower"), "faster"), (0, 32, 63), _vvenc,
                 False, BLUR),
    "kvazaar": Row("libkvazaar", "kvazaar", "hvc1", "yuv420p", 8, (KVAZAAR, "medium"), (0, 27, 51),
                   _kvazaar, True, ROI),
}  # fmt: skip


def parsed(text: str) -> tuple[Row, str]:
    """A codec and its mode of "BASE" or "BASE+MODE"; the mode is "" without one.

    Raises:
        SpecError: if there is none; all are listed.
    """
    base, _, mode = text.partition("+")
    if base in CODECS and (text == base or mode in CODECS[base].modes):
        return CODECS[base], mode
    raise SpecError(f"codec: expected one of {', '.join(names())}, got {text!r}")


def names() -> list[str]:
    """All codecs, with and without modes."""
    return [name + m for name, row in CODECS.items() for m in ("", *(f"+{m}" for m in row.modes))]
