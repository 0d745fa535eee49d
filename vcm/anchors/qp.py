"""HEVC encoders that take a QP map: one stream, which any decoder reads.

A map comes from what is inside (finer by one offset) or from mask values (an offset each).
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.anchors import ffmpeg
from vcm.anchors.base import Image, Readable
from vcm.anchors.blocks import BLOCK, largest, offsets, runs
from vcm.anchors.roi import Roi
from vcm.anchors.video import X265, Kvazaar

CTU: Final = 64  # pixels; of kvazaar's map
QP_RANGE: Final = 63  # of x265 at 10 bit: what a qoffset of 1 means
QP_MAX: Final = 51
Values = NDArray[np.floating[Any]]  # (H, W) in (0, 1]


class ValuesAnchor(Readable, Protocol):
    """An anchor that is told mask values."""

    def encode(self, image: Image, values: Values, setting: int) -> bytes:
        """The file of a picture, (H, W, 3) uint8 RGB, with mask values, (H, W) in (0, 1]."""

    def clipped(self, values: Values, setting: int) -> float:
        """Share of the blocks whose QP would have to be over 51, in [0, 1]."""


class X265Map:
    """x265 with a QP map."""

    settings: tuple[int, ...] = X265.settings

    def __init__(self, anchor: X265):
        self.anchor = anchor

    def coded(self, image: Image, regions: Iterable[str], setting: int) -> bytes:
        """The file of a picture with ffmpeg's regions, of which none overlap."""
        # x265 drops the map without a word if aq-mode is 0, aq-strength is 0 or qp replaces crf
        parameters = X265.parameters("aq-mode=1:aq-strength=0.01:qg-size=16")
        preset = ["-preset", self.anchor.preset, "-crf", str(setting)]
        codec = ["-c:v", "libx265", *preset, *parameters]
        return ffmpeg.encode(image, self.anchor.pixels, codec, "hevc", ",".join(regions))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "hevc", height, width)


class QpMap(X265Map):
    """x265 whose quantiser is finer inside.

    Args:
        offset: QP steps by which the ROI is finer, negative.
    """

    def __init__(self, offset: int, anchor: X265):
        super().__init__(anchor)
        self.offset = offset
        self.name = f"{anchor.name}, QP map {offset}"

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        return self.coded(image, _regions(largest(roi, BLOCK), self.offset, image), setting)


class ValuedQpMap(X265Map):
    """x265 whose quantiser follows the mask values of its 16-pixel blocks."""

    def __init__(self, anchor: X265):
        super().__init__(anchor)
        self.name = f"{anchor.name}, QP map by values"

    def encode(self, image: Image, values: Values, setting: int) -> bytes:
        blocks = offsets(values, BLOCK)
        others = (int(o) for o in np.unique(blocks) if o)
        regions = (r for o in others for r in _regions(blocks == o, o, image))
        return self.coded(image, regions, setting)

    def clipped(self, values: Values, setting: int) -> float:
        return _over(offsets(values, BLOCK), setting)


class KvazaarMap:
    """kvazaar with its own map, of 64-pixel blocks."""

    def __init__(self, anchor: Kvazaar):
        self.anchor, self.settings = anchor, anchor.settings

    def coded(self, image: Image, deltas: NDArray[np.int64], setting: int) -> bytes:
        """The file of a picture with a QP offset for each block."""
        rows = [" ".join(map(str, row)) for row in deltas.tolist()]
        with tempfile.TemporaryDirectory() as folder:  # kvazaar reads its map from a file
            path = Path(folder) / "map.txt"
            path.write_text("\n".join([f"{deltas.shape[1]} {deltas.shape[0]}", *rows]) + "\n")
            return self.anchor.encode(image, setting, f"roi={path}")

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


class DeltaQpMap(KvazaarMap):
    """kvazaar whose quantiser is finer inside.

    Args:
        offset: QP steps by which the ROI is finer, negative.
    """

    def __init__(self, offset: int, anchor: Kvazaar):
        super().__init__(anchor)
        self.offset = offset
        self.name = f"{anchor.name}, QP map {offset}"

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        return self.coded(image, self.offset * largest(roi, CTU).astype(np.int64), setting)


class ValuedDeltaQpMap(KvazaarMap):
    """kvazaar whose quantiser follows the mask values."""

    def __init__(self, anchor: Kvazaar):
        super().__init__(anchor)
        self.name = f"{anchor.name}, QP map by values"

    def encode(self, image: Image, values: Values, setting: int) -> bytes:
        return self.coded(image, offsets(values, CTU).clip(max=QP_MAX - setting), setting)

    def clipped(self, values: Values, setting: int) -> float:
        return _over(offsets(values, CTU), setting)


def _regions(blocks: Roi, offset: int, image: Image) -> Iterable[str]:
    """Filters of ffmpeg that give blocks a QP offset."""
    value = offset / QP_RANGE
    for x, y, w, h in runs(blocks, *image.shape[:2]):
        yield f"addroi=x={x}:y={y}:w={w}:h={h}:qoffset={value:.4f}"


def _over(blocks: NDArray[np.int64], setting: int) -> float:
    return float((setting + blocks > QP_MAX).mean())
