"""Classical codecs to compare with, each with and without the same ROI."""

from typing import Final

from vcm.anchors.base import Anchor
from vcm.anchors.pillow import AVIF, JPEG, JPEG2000, WEBP
from vcm.anchors.qp import ValuesAnchor
from vcm.anchors.roi import RoiAnchor
from vcm.anchors.video import X265, Kvazaar, SvtAv1, Vvenc

__all__ = ["ANCHORS", "Anchor", "RoiAnchor", "ValuesAnchor"]

ANCHORS: Final[dict[str, Anchor]] = {
    "jpeg": JPEG,
    "webp": WEBP,
    "jpeg2000": JPEG2000,
    "avif": AVIF,
    "x265-420": X265("yuv420p10le"),
    "x265-444": X265("yuv444p10le"),
    "svt-av1": SvtAv1(),
    "vvenc": Vvenc(),
    "kvazaar": Kvazaar(),
}
