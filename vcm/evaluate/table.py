"""The codecs of an evaluation: one literal table, from a name to what builds it.

Nothing else asks which codec it deals with.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from vcm import anchors, plugin
from vcm.anchors import Anchor, ffmpeg
from vcm.anchors.pillow import AVIF, JPEG, JPEG2000, WEBP
from vcm.anchors.video import X265, Kvazaar, SvtAv1, Vvenc
from vcm.anchors.zoo import Zoo
from vcm.errors import SpecError
from vcm.evaluate.digest import digest_of
from vcm.evaluate.modes import (
    DELTA_QP_MAP,
    FLAT,
    ITS_OWN,
    PREPARED,
    QP_MAP,
    CodecOptions,
    Defaults,
    Modes,
)
from vcm.evaluate.ours import Usage, ours
from vcm.evaluate.rated import Plain, RatedCodec, Settings
from vcm.provenance import processor, versions

POINTS: Final = slice(0, 7)  # of a classical codec's settings: about 0.05 to 1.5 bpp


@dataclass(frozen=True)
class Spec:
    """What a codec's text says.

    Attributes:
        base: of the codec.
        mode: how it is told the ROI, one of the modes of its row; "": it is not.
        options: values by name.
        text: as it was written.
    """

    base: str
    mode: str
    options: CodecOptions
    text: str = field(default="", compare=False)


class CodecRow(NamedTuple):
    """A codec.

    Attributes:
        options: that it takes without a mode.
        modes: how it can be told the ROI.
        build: the codec of a text.
        ours: whether it is this package's: BD-rates are against another, and plots draw it bold.
    """

    options: tuple[str, ...]
    modes: Modes
    build: Callable[[Spec, Defaults], RatedCodec]
    ours: bool = False


def _ours(spec: Spec, defaults: Defaults) -> RatedCodec:
    """This package's codec."""
    o = spec.options
    weights, sigma = str(o.get("weights", defaults.weights)), float(o.get("sigma", defaults.sigma))
    way = Usage(sigma, int(o.get("effort", 0)), o.get("mechanism"), o.get("importance"))
    return ours(weights, way, o.get("at"), defaults.device)


def _classical(
    anchor: Callable[[Spec], Anchor],
    made_by: Callable[[Spec, Any], str],
    modes: Modes,
    options: tuple[str, ...] = (),
) -> CodecRow:
    """A row of an anchor.

    Args:
        anchor: what builds it.
        made_by: its preset, and versions of what makes its files.
    """

    def build(spec: Spec, defaults: Defaults) -> RatedCodec:
        built = anchor(spec)
        settings: Settings = spec.options.get("at") or _some(built.settings)
        if any(s % 1 for s in settings):
            raise SpecError(f"codec {spec.text!r}: its settings are whole numbers, got {settings}")
        by = made_by(spec, built)
        if not spec.mode:
            return Plain(built, settings, by)
        return modes[spec.mode].guided(built, spec.options, defaults)(settings, by)

    return CodecRow(options, modes, build)


def _some(settings: tuple[int, ...]) -> Settings:
    """Without those of the highest rates, if there are many."""
    few = settings[POINTS] if len(settings) > POINTS.stop + 1 else settings
    return tuple(float(s) for s in few)


def _pillow(anchor: Anchor, modes: Modes = PREPARED) -> CodecRow:
    def made_by(spec: Spec, built: Anchor) -> str:
        return f" {digest_of(anchors)} {versions()['pillow']}"  # the options are in our code

    return _classical(lambda spec: anchor, made_by, modes)


def _video(anchor: Callable[..., Anchor], modes: Modes = PREPARED) -> CodecRow:
    def made_by(spec: Spec, built: Any) -> str:
        return f"{built.preset} {digest_of(anchors)} {ffmpeg.version()}"

    def made(spec: Spec) -> Anchor:
        return anchor(**{k: v for k, v in spec.options.items() if k == "preset"})

    return _classical(made, made_by, modes, ("preset",))


def _zoo_made_by(spec: Spec, built: Anchor) -> str:
    # another processor's rounding: their files are read by none but the first
    by = versions().get("compressai", ""), versions()["torch"], processor()
    return f" {digest_of(anchors)} {' '.join(by)}"


def _plugin(spec: Spec) -> Anchor:
    mine: Anchor = plugin.load(spec.base, ("name", "settings", "encode", "decode"))
    return mine


def _plugin_made_by(spec: Spec, built: Anchor) -> str:
    """Its files are others when it is changed, and it may call whatever is installed."""
    return f"{spec.base} {plugin.file_of(spec.base).stat().st_mtime_ns} {versions()}"


ZOO: Final = _classical(lambda spec: Zoo(spec.base), _zoo_made_by, PREPARED)
X265_420: Final = _video(lambda **o: X265("yuv420p10le", **o), QP_MAP)
PLUGIN: Final = _classical(_plugin, _plugin_made_by, ITS_OWN)
CODECS: Final[dict[str, CodecRow]] = {
    "vcm": CodecRow(
        ("sigma", "weights", "effort", "mechanism", "importance"), {}, _ours, ours=True
    ),
    "jpeg": _pillow(JPEG),
    "webp": _pillow(WEBP),
    "jpeg2000": _pillow(JPEG2000, FLAT),  # its settings are rates: a part would be no finer
    "avif": _pillow(AVIF),
    "x265-420": X265_420,
    "x265-444": _video(lambda **o: X265("yuv444p10le", **o), QP_MAP),
    "svt-av1": _video(SvtAv1),
    "vvenc": _video(Vvenc),
    "kvazaar": _video(Kvazaar, DELTA_QP_MAP),
    "x265": X265_420,
    "bmshj2018-hyperprior": ZOO,
    "mbt2018-mean": ZOO,
    "mbt2018": ZOO,
    "cheng2020-anchor": ZOO,
}


def row_of(base: str) -> CodecRow | None:
    """The row of a codec's name or of a plugin's; None if there is none."""
    return PLUGIN if plugin.is_plugin(base) else CODECS.get(base)
