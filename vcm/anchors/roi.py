"""The same ROI for the classical codecs: a QP map, or a background that costs little."""

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.anchors import ffmpeg
from vcm.anchors.base import Anchor, Image
from vcm.anchors.video import X265, Kvazaar

Roi = NDArray[np.bool_]  # (H, W)
BLOCK = 16  # pixels; the finest that x265's QP map is
CTU = 64  # pixels; of kvazaar's map
MOST = 255  # rectangles of a file
STEP = 4  # QPs from one setting of a video codec to the next
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

    def __init__(self, offset: int, anchor: X265):
        self.offset, self.anchor = offset, anchor
        self.name = f"{anchor.name}, QP map {offset}"

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        value = self.offset / QP_RANGE
        regions = (
            f"addroi=x={x}:y={y}:w={w}:h={h}:qoffset={value:.4f}" for x, y, w, h in runs(roi)
        )
        # x265 drops the map without a word if aq-mode is 0, aq-strength is 0 or qp replaces crf
        parameters = X265.parameters("aq-mode=1:aq-strength=0.01:qg-size=16")
        preset = ["-preset", self.anchor.preset, "-crf", str(setting)]
        codec = ["-c:v", "libx265", *preset, *parameters]
        return ffmpeg.encode(image, self.anchor.pixels, codec, "hevc", ",".join(regions))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "hevc", height, width)


class DeltaQpMap:
    """kvazaar whose quantiser is finer inside, by its own map of 64-pixel blocks.

    Args:
        offset: QP steps by which the ROI is finer, negative.
    """

    def __init__(self, offset: int, anchor: Kvazaar):
        self.offset, self.anchor = offset, anchor
        self.name = f"{anchor.name}, QP map {offset}"
        self.settings = anchor.settings

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        blocks = blocks_of(roi, CTU)
        rows = [" ".join(str(self.offset * int(b)) for b in row) for row in blocks]
        with tempfile.TemporaryDirectory() as folder:  # kvazaar reads its map from a file
            path = Path(folder) / "map.txt"
            path.write_text("\n".join([f"{blocks.shape[1]} {blocks.shape[0]}", *rows]) + "\n")
            return self.anchor.encode(image, setting, f"roi={path}")

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


class TwoStreams:
    """A coarse picture, and the ROI's rectangles laid over it at the finer setting.

    The file: number of rectangles (1 byte), for each x, y, w, h (2 bytes each), then each stream
    behind its length (4 bytes), the coarse one first.

    Args:
        coarser: QP steps by which the whole picture is coarser than the rectangles; of a codec
            without QPs one of its settings counts as four.
    """

    def __init__(self, anchor: Anchor, coarser: int = 12):
        self.anchor, self.coarser = anchor, coarser
        self.settings = anchor.settings
        self.name = f"{anchor.name}, two streams {coarser}"

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        boxes, coarse = rectangles(roi), self._coarse(setting)
        if roi.all() or coarse == setting:  # nothing to tell apart: once is enough
            boxes, coarse = [], setting
        parts = [image] + [image[y : y + h, x : x + w] for x, y, w, h in boxes]
        settings = [coarse] + [setting] * len(boxes)
        streams = [self.anchor.encode(p, s) for p, s in zip(parts, settings, strict=True)]
        head = bytes([len(boxes)]) + b"".join(struct.pack("<4H", *box) for box in boxes)
        return head + b"".join(struct.pack("<I", len(s)) + s for s in streams)

    def _coarse(self, setting: int) -> int:
        coarsest: int | None = getattr(self.anchor, "coarsest", None)
        if coarsest is not None:
            return min(setting + self.coarser, coarsest)
        place = min(range(len(self.settings)), key=lambda i: abs(self.settings[i] - setting))
        return self.settings[max(0, place - self.coarser // STEP)]

    def decode(self, data: bytes, height: int, width: int) -> Image:
        boxes = list(struct.iter_unpack("<4H", data[1 : 1 + 8 * data[0]]))
        at, image = 1 + 8 * data[0], np.empty((height, width, 3), np.uint8)
        for x, y, w, h in [(0, 0, width, height), *boxes]:
            (length,) = struct.unpack_from("<I", data, at)
            image[y : y + h, x : x + w] = self.anchor.decode(data[at + 4 : at + 4 + length], h, w)
            at += 4 + length
        return image


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
        return self.anchor.encode(quiet(image, roi, self.blur), setting)

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


def quiet(image: Image, roi: Roi, blur: float | None) -> Image:
    """The picture, (H, W, 3) uint8 RGB, with little left to code outside of the ROI.

    Args:
        blur: standard deviation in pixels of the blur outside; None: its mean colour.
    """
    background = image[~roi]
    if not len(background):
        return image
    flat = np.broadcast_to(background.mean(0).round().astype(np.uint8), image.shape)
    outside = flat if blur is None else cv2.GaussianBlur(image, (0, 0), blur)
    return np.where(roi[..., None], image, outside)


def runs(roi: Roi) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles x, y, w, h of 16-pixel blocks that cover the ROI; none overlap.

    One for each run in a row of blocks; equal runs of rows below each other are one.
    """
    height, width = roi.shape
    begun: dict[tuple[int, int], int] = {}  # runs of the row above, and where they began
    for row, line in enumerate([*blocks_of(roi, BLOCK), np.zeros(-(-width // BLOCK), np.bool_)]):
        edges = np.flatnonzero(np.diff(np.pad(line, 1).astype(np.int8)))
        here = {(start, end): row for start, end in edges.reshape(-1, 2).tolist()}
        for (start, end), top in begun.items():
            if (start, end) in here:
                here[start, end] = top
                continue
            x, y = start * BLOCK, top * BLOCK
            yield x, y, min(end * BLOCK, width) - x, min(row * BLOCK, height) - y
        begun = here


def rectangles(roi: Roi) -> list[tuple[int, int, int, int]]:
    """Rectangles x, y, w, h on whole blocks around the parts of the ROI; none overlap.

    Where there are more than a file holds, the parts grow until some are one.
    """
    blocks = blocks_of(roi, BLOCK)
    while True:  # boxes around parts may touch others
        count, _, stats, _ = cv2.connectedComponentsWithStats(blocks.astype(np.uint8))
        if count > 1 + MOST:
            blocks = cv2.dilate(blocks.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            continue
        filled = np.zeros_like(blocks)
        for x, y, w, h, _ in stats[1:]:
            filled[y : y + h, x : x + w] = True
        if (filled == blocks).all():
            break
        blocks = filled
    boxes: list[list[int]] = (stats[1:, :4] * BLOCK).tolist()
    height, width = roi.shape
    return [(x, y, min(w, width - x), min(h, height - y)) for x, y, w, h in boxes]


def blocks_of(roi: Roi, side: int) -> Roi:
    """Whether each square block has any of the ROI."""
    height, width = roi.shape
    padded = np.pad(roi, ((0, -height % side), (0, -width % side)))
    blocks: Roi = padded.reshape(len(padded) // side, side, -1, side).any((1, 3))
    return blocks
