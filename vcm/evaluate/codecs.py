"""Codecs of an evaluation by name: "vcm:sigma=0.3", "x265+roi:offset=-12", "vvenc+blur"."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm import anchors, plugin
from vcm.anchors import ANCHORS, RoiAnchor, ffmpeg
from vcm.anchors.base import Anchor
from vcm.anchors.roi import DeltaQpMap, Prepared, QpMap, TwoStreams
from vcm.anchors.video import X265, Kvazaar, SvtAv1, Vvenc
from vcm.anchors.zoo import QUALITIES as ZOO
from vcm.anchors.zoo import Zoo
from vcm.errors import SpecError
from vcm.evaluate.ours import digest_of, ours
from vcm.provenance import processor, versions

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Roi = NDArray[np.bool_]  # (H, W)
Settings = tuple[float, ...]

POINTS: Final = slice(0, 7)  # of a classical codec's settings: about 0.05 to 1.5 bpp
BLUR, OFFSET, COARSER = 3.0, -8, 12
VIDEO: Final[dict[str, Callable[..., Any]]] = {
    "x265": lambda **o: X265("yuv420p10le", **o),
    "x265-444": lambda **o: X265("yuv444p10le", **o),
    "svt-av1": SvtAv1,
    "vvenc": Vvenc,
    "kvazaar": Kvazaar,
}
ROI_MODES: Final = ("roi", "blur", "flat", "two")
OPTIONS: Final = {  # name -> what reads its value
    "sigma": float,
    "effort": int,
    "weights": str,
    "preset": str,
    "offset": int,
    "blur": float,
    "coarser": int,
    "at": lambda text: tuple(float(v) for v in text.split("/")),
}


class RatedCodec(Protocol):
    """A codec that an evaluation measures.

    Attributes:
        name: for tables and plots.
        key: says all that its files depend on, besides picture, ROI and setting.
        settings: from few bits to many.
        uses_roi: whether its files depend on the ROI.
    """

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def uses_roi(self) -> bool: ...
    def encode(self, image: Image, roi: Roi, setting: float) -> bytes: ...
    def decode(self, data: bytes, height: int, width: int) -> Image: ...


@dataclass(frozen=True)
class Classical:
    """A codec that knows no ROI, or one that does."""

    anchor: Any  # Anchor or RoiAnchor
    uses_roi: bool
    settings: Settings
    preset: str
    made_by: str  # versions of what makes its files

    @property
    def name(self) -> str:
        return str(self.anchor.name)

    @property
    def key(self) -> str:
        return f"{self.name} {self.preset} {self.made_by}"

    def encode(self, image: Image, roi: Roi, setting: float) -> bytes:
        if self.uses_roi:
            return bytes(self.anchor.encode(image, roi, int(setting)))
        return bytes(self.anchor.encode(image, int(setting)))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        image: Image = self.anchor.decode(data, height, width)
        return image


@dataclass(frozen=True)
class Spec:
    """What a codec's text says.

    Attributes:
        base: of the codec.
        mode: one of ROI_MODES, or "" for none.
        options: values by name.
    """

    base: str
    mode: str
    options: dict[str, Any]


def parse(text: str) -> Spec:
    """The parts of "BASE+MODE:option=value:...".

    Raises:
        SpecError: if a part is not known; what is known is listed.
    """
    head, *pairs = text.strip().split(":")
    if plugin.is_plugin(text) and pairs:
        head = f"{head}:{pairs.pop(0)}"
    base, plus, mode = head.partition("+")
    known = ("vcm", *ANCHORS, *(n for n in VIDEO if n not in ANCHORS), *ZOO)
    if base not in known and not plugin.is_plugin(base):
        raise SpecError(f"codec {text!r}: expected one of {', '.join(known)}")
    if plus and mode not in _modes(base):
        modes = ", ".join(f"{base}+{m}" for m in _modes(base)) or f"{base} alone"
        raise SpecError(f"codec {text!r}: expected {modes}")
    options = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in _options(base, mode):
            allowed = ", ".join(_options(base, mode))
            raise SpecError(f"codec {text!r}: option {key!r}; expected one of {allowed}")
        try:
            options[key] = OPTIONS[key](value)  # type: ignore[operator]
        except ValueError as error:
            raise SpecError(f"codec {text!r}: {key} cannot be {value!r}") from error
    return Spec(base, mode, options)


def _modes(base: str) -> tuple[str, ...]:
    if base == "vcm":
        return ()
    if base == "jpeg2000":  # its settings are rates: a stream of the ROI would be no finer
        return ("blur", "flat")
    knows_roi = base in ("x265", "x265-444", "kvazaar") or plugin.is_plugin(base)
    return ROI_MODES if knows_roi else ("blur", "flat", "two")


def _options(base: str, mode: str) -> tuple[str, ...]:
    if base == "vcm":
        return ("sigma", "weights", "effort", "at")
    preset = ("preset",) if base in VIDEO else ()
    offset = () if plugin.is_plugin(base) else ("offset",)
    own = {"roi": offset, "blur": ("blur",), "two": ("coarser",)}.get(mode, ())
    return (*preset, *own, "at")


def build(text: str, sigma: float, weights: str) -> RatedCodec:
    """The codec of a text.

    Args:
        sigma, weights: of ours, where the text does not say.

    Raises:
        SpecError: if the text is not a codec's.
        ModelError: if its weights cannot be loaded.
    """
    spec = parse(text)
    at: Settings | None = spec.options.get("at")
    if at and len({f"{s:g}" for s in at}) < len(at):
        raise SpecError(f"codec {text!r}: each setting once, got {at}")
    if spec.base == "vcm":
        own = str(spec.options.get("weights", weights))
        sigma = float(spec.options.get("sigma", sigma))
        return ours(own, sigma, int(spec.options.get("effort", 0)), at)
    anchor = _anchor(spec)
    coded = _with_roi(anchor, spec)
    settings = at or tuple(float(s) for s in _some(anchor.settings))
    preset = str(spec.options.get("preset", getattr(anchor, "preset", "")))
    if any(s % 1 for s in settings):
        raise SpecError(f"codec {text!r}: its settings are whole numbers, got {settings}")
    if plugin.is_plugin(spec.base):  # its files are others when it is changed
        preset = f"{spec.base} {plugin.file_of(spec.base).stat().st_mtime_ns}"
    return Classical(coded, bool(spec.mode), settings, preset, _made_by(spec.base))


def _made_by(base: str) -> str:
    """Versions of what turns pictures into a classical codec's files."""
    if plugin.is_plugin(base):  # it may call whatever is installed
        return str(versions())
    parts = [digest_of(anchors)]  # the options are there
    if base in VIDEO:
        parts.append(ffmpeg.version())
    elif base in ZOO:  # another processor's rounding: their files are read by none but the first
        parts += [versions().get("compressai", ""), versions()["torch"], processor()]
    else:
        parts.append(versions()["pillow"])
    return " ".join(parts)


def labels(codecs: Mapping[str, RatedCodec]) -> dict[str, str]:
    """A name for each codec of an evaluation, with its text where two have the same name."""
    counts = Counter(codec.name for codec in codecs.values())
    return {
        text: codec.name if counts[codec.name] == 1 else f"{codec.name} ({text})"
        for text, codec in codecs.items()
    }


def _anchor(spec: Spec) -> Anchor:
    preset = {k: v for k, v in spec.options.items() if k == "preset"}
    if plugin.is_plugin(spec.base):
        mine: Anchor = plugin.load(spec.base, ("name", "settings", "encode", "decode"))
        return mine
    if spec.base in ZOO:
        return Zoo(spec.base)
    anchor: Anchor = VIDEO[spec.base](**preset) if spec.base in VIDEO else ANCHORS[spec.base]
    return anchor


def _with_roi(anchor: Anchor, spec: Spec) -> Anchor | RoiAnchor:
    options = spec.options
    if spec.mode == "roi" and plugin.is_plugin(spec.base):  # its encode takes the ROI
        return anchor
    if spec.mode == "roi":
        offset = options.get("offset", OFFSET)
        if isinstance(anchor, Kvazaar):
            return DeltaQpMap(offset, anchor)
        assert isinstance(anchor, X265)
        return QpMap(offset, anchor)
    if spec.mode == "two":
        return TwoStreams(anchor, options.get("coarser", COARSER))
    if spec.mode in ("blur", "flat"):
        return Prepared(anchor, options.get("blur", BLUR) if spec.mode == "blur" else None)
    return anchor


def _some(settings: tuple[int, ...]) -> tuple[int, ...]:
    """Without those of the highest rates, if there are many."""
    return settings[POINTS] if len(settings) > POINTS.stop + 1 else settings
