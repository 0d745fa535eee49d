"""A codec as an evaluation sees it: one protocol, for those that are told an ROI and for others."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.anchors import Anchor, RoiAnchor

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Roi = NDArray[np.bool_]  # (H, W)
Settings = tuple[float, ...]


class RatedCodec(Protocol):
    """A codec that an evaluation measures.

    Attributes:
        name: for tables and plots.
        key: says all that its files depend on, besides picture, ROI and setting.
        settings: from few bits to many.
        uses_roi: whether its files depend on the ROI.
    """

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def uses_roi(self) -> bool: ...

    def encode(self, image: Image, roi: Roi | None, setting: float) -> bytes:
        """The file of a picture, (H, W, 3) uint8 RGB.

        Args:
            roi: (H, W) bool; None: all of the picture.
            setting: one of its own.
        """

    def decode(self, data: bytes, height: int, width: int) -> Image:
        """The picture of a file: (height, width, 3) uint8, RGB."""


@dataclass(frozen=True)
class Plain:
    """An anchor, which knows no ROI.

    Attributes:
        made_by: its preset, and versions of what makes its files.
    """

    anchor: Anchor
    settings: Settings
    made_by: str
    uses_roi: bool = False

    @property
    def name(self) -> str:
        return self.anchor.name

    @property
    def key(self) -> str:
        return f"{self.name} {self.made_by}"

    def encode(self, image: Image, roi: Roi | None, setting: float) -> bytes:
        return bytes(self.anchor.encode(image, int(setting)))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


@dataclass(frozen=True)
class Guided:
    """An anchor that is told the ROI; the attributes are those of `Plain`."""

    anchor: RoiAnchor
    settings: Settings
    made_by: str
    uses_roi: bool = True

    @property
    def name(self) -> str:
        return self.anchor.name

    @property
    def key(self) -> str:
        return f"{self.name} {self.made_by}"

    def encode(self, image: Image, roi: Roi | None, setting: float) -> bytes:
        return bytes(self.anchor.encode(image, whole(image, roi), int(setting)))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


def whole(image: Image, roi: Roi | None) -> Roi:
    """The ROI, all of the picture if none is given: (H, W) bool."""
    return np.ones(image.shape[:2], np.bool_) if roi is None else roi
