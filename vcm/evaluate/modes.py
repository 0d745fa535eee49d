"""Ways to tell a classical codec the ROI: what is written after "+"."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from vcm.anchors.qp import DeltaQpMap, QpMap, ValuedDeltaQpMap, ValuedQpMap
from vcm.anchors.roi import Prepared, TwoStreams
from vcm.errors import SpecError
from vcm.evaluate.rated import Guided, RatedCodec, Settings, Valued

CodecOptions = dict[str, Any]  # values by name
Made = Callable[[Settings, str], RatedCodec]  # of settings and what its files are made by
BLUR, OFFSET, COARSER = 3.0, -8, 12
VALUES: Final = "values"  # an offset: each block's own, by its mask value


class Mode(NamedTuple):
    """A way to tell an anchor the ROI: what is written after "+".

    Attributes:
        options: that it takes.
        guided: what makes the codec, of the anchor, the options and the sigma of the evaluation.
    """

    options: tuple[str, ...]
    guided: Callable[[Any, CodecOptions, float], Made]


Modes = Mapping[str, Mode]


def _area(anchor: Callable[[Any, CodecOptions], Any]) -> Callable[[Any, CodecOptions, float], Made]:
    """Of an anchor that is told what is inside."""
    return lambda plain, o, sigma: partial(Guided, anchor(plain, o))


def _qp_map(offset: Callable[[int, Any], Any], values: Callable[[Any], Any]) -> Mode:
    """Told what is inside, or by "offset=values" the mask values.

    Args:
        offset: the anchor whose ROI is finer by so much.
        values: the anchor that takes mask values.
    """

    def made(plain: Any, o: CodecOptions, sigma: float) -> Made:
        if o.get("offset") == VALUES:
            return partial(Valued, values(plain), sigma=o.get("sigma", sigma))
        if "sigma" in o:
            raise SpecError("sigma goes with offset=values; an offset alone does not depend on it")
        return partial(Guided, offset(o.get("offset", OFFSET), plain))

    return Mode(("offset", "sigma"), made)


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
