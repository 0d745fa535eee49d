"""The backends that consist of several networks; the segmenter is imported only when it is used."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from vcm.errors import MissingExtra
from vcm.roi.base import Backend
from vcm.roi.composed import Composed
from vcm.roi.embedded import Embedded

if TYPE_CHECKING:
    from vcm.roi.segmenter import SegmenterBackend

_log = logging.getLogger(__name__)


def embedded(weights: str | Path | None = None, detail: int = 1, device: str = "cpu") -> Composed:
    """The built-in network and the specialists; arguments and errors as for `Embedded`."""
    base = Embedded(weights, detail, device)
    return Composed(base, base.recall, device=device)


def segmenter(weights: str = "yolo11n-seg.pt", device: str = "cpu") -> Backend:
    """A YOLO segmenter and, if its classes are COCO's, the specialists."""
    from vcm.roi.segmenter import SegmenterBackend

    base = SegmenterBackend(weights, device)
    return Composed(base, device=device) if base.has_coco_classes else base


def auto(weights: str | None = None, detail: int = 1, device: str = "cpu") -> Composed:
    """The segmenter, if available, for the words it knows; otherwise as `embedded`.

    Args:
        weights: path of a YOLO segmentation checkpoint; None: use no segmenter.
        detail: of the built-in network, see `Embedded`.
        device: of all networks, as `vcm.device.gpu_of` takes it.

    Raises:
        ModelError: if the file is not such a checkpoint.
        SpecError: if the networks cannot run on such a device.
    """
    base = Embedded(detail=detail, device=device)
    return Composed(base, base.recall, _segmenter(weights, device), device)


def _segmenter(weights: str | None, device: str) -> "SegmenterBackend | None":
    """The segmenter of a checkpoint; if it is not available, None and a warning."""
    if weights is None:
        return None
    if not Path(weights).is_file():
        _log.warning("auto: no checkpoint %s; using the built-in network", weights)
        return None
    from vcm.roi.segmenter import SegmenterBackend

    try:
        return SegmenterBackend(weights, device)
    except MissingExtra as error:
        _log.warning("auto: %s; using the built-in network", error)
        return None
