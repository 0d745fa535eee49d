"""Classical codecs to compare with, each with and without the same ROI."""

from typing import Final

from vcm.anchors.base import Anchor
from vcm.anchors.pillow import AVIF, JPEG, JPEG2000, WEBP
from vcm.anchors.roi import Prepared, QpMap, RoiAnchor
from vcm.anchors.video import X265, Kvazaar, SvtAv1, Vvenc

__all__ = ["ANCHORS", "ROI_ANCHORS", "Anchor", "RoiAnchor"]

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
ROI_ANCHORS: Final[dict[str, RoiAnchor]] = {
    "x265-qp-8": QpMap(-8, X265("yuv420p10le")),
    "x265-qp-12": QpMap(-12, X265("yuv420p10le")),
    "vvenc-blurred": Prepared(Vvenc(), blur=3.0),
    "vvenc-flat": Prepared(Vvenc(), blur=None),
}
