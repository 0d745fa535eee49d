"""Ways to tell a classical codec the ROI: what is written after "+"."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from vcm.anchors import RoiAnchor
from vcm.anchors.roi import DeltaQpMap, Prepared, QpMap, TwoStreams

CodecOptions = dict[str, Any]  # values by name
BLUR, OFFSET, COARSER = 3.0, -8, 12


class Mode(NamedTuple):
    """A way to tell an anchor the ROI: what is written after "+".

    Attributes:
        options: that it takes.
        guided: what makes it of the anchor.
    """

    options: tuple[str, ...]
    guided: Callable[[Any, CodecOptions], RoiAnchor]


Modes = Mapping[str, Mode]

FLAT: Final[Modes] = {
    "blur": Mode(("blur",), lambda anchor, o: Prepared(anchor, o.get("blur", BLUR))),
    "flat": Mode((), lambda anchor, o: Prepared(anchor, None)),
}
PREPARED: Final[Modes] = {
    **FLAT,
    "two": Mode(("coarser",), lambda anchor, o: TwoStreams(anchor, o.get("coarser", COARSER))),
}
QP_MAP: Final[Modes] = {
    "roi": Mode(("offset",), lambda anchor, o: QpMap(o.get("offset", OFFSET), anchor)),
    **PREPARED,
}
DELTA_QP_MAP: Final[Modes] = {
    "roi": Mode(("offset",), lambda anchor, o: DeltaQpMap(o.get("offset", OFFSET), anchor)),
    **PREPARED,
}
ITS_OWN: Final[Modes] = {"roi": Mode((), lambda anchor, o: anchor), **PREPARED}
