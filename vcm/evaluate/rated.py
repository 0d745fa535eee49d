"""A codec as an evaluation sees it: one protocol, for those that are told an ROI and for others."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.anchors import Anchor, RoiAnchor, ValuesAnchor
from vcm.evaluate.weighed import Weigh, alone
from vcm.roi.mask import RoiMask

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Settings = tuple[float, ...]


class Rated(Protocol):
    """A codec that has a rate curve, on photos or on a clip.

    Attributes:
        name: for tables and plots.
        key: says all that its files depend on, besides picture, ROI and setting.
        settings: each gives a point of its curve.
    """

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def settings(self) -> Settings: ...


class RatedCodec(Rated, Protocol):
    """A codec that an evaluation measures on photos; its settings go from few bits to many.

    Attributes:
        uses_roi: whether its files depend on the ROI.
    """

    @property
    def uses_roi(self) -> bool: ...

    def encode(self, image: Image, mask: RoiMask, setting: float) -> bytes:
        """The file of a picture, (H, W, 3) uint8 RGB.

        Args:
            mask: of the same height and width. Who has a sigma of its own takes that.
            setting: one of its own.
        """

    def clipped(self, image: Image, mask: RoiMask, setting: float) -> float:
        """Share of the picture that cannot be coded as coarsely as the mask asks, in [0, 1]."""

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

    def encode(self, image: Image, mask: RoiMask, setting: float) -> bytes:
        return bytes(self.anchor.encode(image, int(setting)))

    def clipped(self, image: Image, mask: RoiMask, setting: float) -> float:
        return 0.0

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

    def encode(self, image: Image, mask: RoiMask, setting: float) -> bytes:
        return bytes(self.anchor.encode(image, mask.roi, int(setting)))

    def clipped(self, image: Image, mask: RoiMask, setting: float) -> float:
        return 0.0

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


@dataclass(frozen=True)
class Valued:
    """An anchor that is told the mask values; the attributes are those of `Plain`.

    Attributes:
        sigma: the value outside.
        importance: that masks are weighed by; "": they are left alone.
    """

    anchor: ValuesAnchor
    settings: Settings
    made_by: str
    sigma: float
    importance: str = ""
    weigh: Weigh = alone
    uses_roi: bool = True

    @property
    def name(self) -> str:
        by = f", importance {self.importance}" if self.importance else ""
        return f"{self.anchor.name}, sigma {self.sigma:g}{by}"

    @property
    def key(self) -> str:
        return f"{self.name} {self.made_by}"

    def encode(self, image: Image, mask: RoiMask, setting: float) -> bytes:
        own = self.weigh(image, mask.at(self.sigma))
        return self.anchor.encode(image, own.values, int(setting))

    def clipped(self, image: Image, mask: RoiMask, setting: float) -> float:
        own = self.weigh(image, mask.at(self.sigma))
        return self.anchor.clipped(own.values, int(setting))

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return self.anchor.decode(data, height, width)


def whole(image: Image) -> RoiMask:
    """The mask of a picture that matters as a whole."""
    return RoiMask(np.ones(image.shape[:2], np.bool_), 1.0, "all")
