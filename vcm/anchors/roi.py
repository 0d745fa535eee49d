"""The same ROI for the classical codecs: a QP map, or a background that costs little."""

from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.anchors import ffmpeg
from vcm.anchors.base import Anchor, Image
from vcm.anchors.video import X265

Roi = NDArray[np.bool_]  # (H, W)
BLOCK = 16  # pixels; the finest that x265's QP map is
QP_RANGE = 63  # of x265 at 10 bit: what a qoffset of 1 means


class RoiAnchor(Protocol):
    """An anchor that is told what matters.

    Attributes:
        name: for tables and plots.
        settings: values of its rate control from few bits to many.
    """

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> tuple[int, ...]: ...

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        """The file of a picture, (H, W, 3) uint8 RGB, with an ROI, (H, W) bool."""

    def decode(self, data: bytes, height: int, width: int) -> Image:
        """The picture of a file: (height, width, 3) uint8, RGB."""


class QpMap:
    """x265 whose quantiser is finer inside: one stream, any decoder.

    Args:
        offset: QP steps by which the ROI is finer, negative.
    """

    settings: tuple[int, ...] = X265.settings

    def __init__(self, offset: int, pixels: str = "yuv420p10le"):
        self.offset, self.pixels = offset, pixels
        self.name = f"x265, QP map {offset}"

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        value = self.offset / QP_RANGE
        regions = (
            f"addroi=x={x}:y={y}:w={w}:h={h}:qoffset={value:.4f}" for x, y, w, h in runs(roi)
        )
        # x265 drops the map without a word if aq-mode is 0, aq-strength is 0 or qp replaces crf
        parameters = X265.parameters("aq-mode=1:aq-strength=0.01:qg-size=16")
        codec = ["-c:v", "libx265", "-preset", "slow", "-crf", str(setting), *parameters]
        return ffmpeg.encode(image, self.pixels, codec, "hevc", ",".join(regions))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "hevc", height, width)


class Prepared:
    """Any anchor, given a picture whose background has little left to code.

    Args:
        anchor: the codec.
        blur: standard deviation in pixels of the blur outside; None: its mean colour.
    """

    def __init__(self, anchor: Anchor, blur: float | None):
        self.anchor, self.blur = anchor, blur
        self.settings = anchor.settings
        kind = "flat background" if blur is None else f"background blurred ({blur:g} px)"
        self.name = f"{anchor.name}, {kind}"

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        background = image[~roi]
        if not len(background):
            return self.anchor.encode(image, setting)
        flat = np.broadcast_to(background.mean(0).round().astype(np.uint8), image.shape)
        outside = flat if self.blur is None else cv2.GaussianBlur(image, (0, 0), self.blur)
        return self.anchor.encode(np.where(roi[..., None], image, outside), setting)

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


def runs(roi: Roi) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles x, y, w, h of 16-pixel blocks, one for each run in a row, that cover the ROI."""
    height, width = roi.shape
    padded = np.pad(roi, ((0, -height % BLOCK), (0, -width % BLOCK)))
    rows = len(padded) // BLOCK
    blocks = padded.reshape(rows, BLOCK, -1, BLOCK).any((1, 3))
    for row, line in enumerate(blocks):
        edges = np.flatnonzero(np.diff(np.pad(line, 1).astype(np.int8)))
        for start, end in edges.reshape(-1, 2).tolist():
            x, y = start * BLOCK, row * BLOCK
            yield x, y, min(end * BLOCK, width) - x, min(BLOCK, height - y)
