"""The same ROI for classical codecs without a QP map: two streams, or a prepared background."""

import struct
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.anchors.base import Anchor, Image, Readable
from vcm.anchors.blocks import BLOCK, largest

Roi = NDArray[np.bool_]  # (H, W)
MOST = 255  # rectangles of a file
STEP = 4  # QPs from one setting of a video codec to the next


class RoiAnchor(Readable, Protocol):
    """An anchor that is told what matters."""

    def encode(self, image: Image, roi: Roi, setting: int) -> bytes:
        """The file of a picture, (H, W, 3) uint8 RGB, with an ROI, (H, W) bool."""


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


def rectangles(roi: Roi) -> list[tuple[int, int, int, int]]:
    """Rectangles x, y, w, h on whole blocks around the parts of the ROI; none overlap.

    Where there are more than a file holds, the parts grow until some are one.
    """
    blocks = largest(roi, BLOCK)
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
