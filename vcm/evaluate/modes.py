"""Ways to tell a classical codec the ROI: what is written after "+"."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from vcm.anchors.qp import DeltaQpMap, QpMap, ValuedDeltaQpMap, ValuedQpMap
from vcm.anchors.roi import Prepared, TwoStreams
from vcm.errors import SpecError
from vcm.evaluate.rated import Guided, RatedCodec, Settings, Valued
from vcm.evaluate.weighed import identity, weighing

CodecOptions = dict[str, Any]  # values by name
Made = Callable[[Settings, str], RatedCodec]  # of settings and what its files are made by
BLUR, OFFSET, COARSER = 3.0, -8, 12
VALUES: Final = "values"  # an offset: each block's own, by its mask value


class Defaults(NamedTuple):
    """Settings that hold where a codec's text says nothing else.

    Attributes:
        weights: of this package's codec.
        device: that networks run on; no text changes it.
    """

    sigma: float
    weights: str
    device: str


class Mode(NamedTuple):
    """A way to tell an anchor the ROI: what is written after "+".

    Attributes:
        options: that it takes.
        guided: what makes the codec, of the anchor, the options and the defaults.
    """

    options: tuple[str, ...]
    guided: Callable[[Any, CodecOptions, Defaults], Made]


Modes = Mapping[str, Mode]


def _area(
    anchor: Callable[[Any, CodecOptions], Any],
) -> Callable[[Any, CodecOptions, Defaults], Made]:
    """Of an anchor that is told what is inside."""
    return lambda plain, o, defaults: partial(Guided, anchor(plain, o))


def _qp_map(offset: Callable[[int, Any], Any], values: Callable[[Any], Any]) -> Mode:
    """Told what is inside, or by "offset=values" the mask values.

    Args:
        offset: the anchor whose ROI is finer by so much.
        values: the anchor that takes mask values.
    """

    def made(plain: Any, o: CodecOptions, defaults: Defaults) -> Made:
        if o.get("offset") == VALUES:
            return _valued(values(plain), o, defaults)
        if strange := [name for name in ("sigma", "importance") if name in o]:
            raise SpecError(f"{strange[0]} goes with offset=values: an offset alone ignores it")
        return partial(Guided, offset(o.get("offset", OFFSET), plain))

    return Mode(("offset", "sigma", "importance"), made)


def _valued(anchor: Any, o: CodecOptions, defaults: Defaults) -> Made:
    """Of an anchor that takes mask values."""
    sigma, by = o.get("sigma", defaults.sigma), o.get("importance", "")

    def made(settings: Settings, made_by: str) -> RatedCodec:
        weigh = weighing(by, defaults.device)
        return Valued(anchor, settings, made_by + identity(by), sigma, by, weigh)

    return made


FLAT: Final[Modes] = {
    "blur": Mode(("blur",), _area(lambda anchor, o: Prepared(anchor, o.get("blur", BLUR)))),
    "flat": Mode((), _area(lambda anchor, o: Prepared(anchor, None))),
}
PREPARED: Final[Modes] = {
    **FLAT,
    "two": Mode(
        ("coarser",), _area(lambda anchor, o: TwoStreams(anchor, o.get("coarser", COARSER)))
    ),
}
QP_MAP: Final[Modes] = {"roi": _qp_map(QpMap, ValuedQpMap), **PREPARED}
DELTA_QP_MAP: Final[Modes] = {"roi": _qp_map(DeltaQpMap, ValuedDeltaQpMap), **PREPARED}
ITS_OWN: Final[Modes] = {"roi": Mode((), _area(lambda anchor, o: anchor)), **PREPARED}
