"""Points and curves of rate against a score."""

import math
from dataclasses import dataclass

from vcm.errors import MetricError


@dataclass(frozen=True)
class RDPoint:
    """What some pictures cost and what they are still good for.

    Attributes:
        bits: of the files, headers included.
        pixels: of the pictures.
        score: higher is better.

    Raises:
        MetricError: if bits or pixels are not positive, or the score is not finite.

    Example:
        >>> from vcm.metrics.distortion import psnr
        >>> codec, photo = vcm.Codec.load(), image.read("photo.jpg")
        >>> roi = vcm.RoiMask(np.ones(photo.shape[:2], bool), sigma=1, source="all")
        >>> data = vcm.encode(photo, roi, codec, quality=50)
        >>> score = psnr(photo, vcm.decode(data, codec))
        >>> point = vcm.RDPoint(8 * len(data), roi.roi.size, score)
        >>> 0.1 < point.bpp < 2 and point.score > 25
        True
    """

    bits: int
    pixels: int
    score: float

    def __post_init__(self) -> None:
        if self.bits <= 0 or self.pixels <= 0 or not math.isfinite(self.score):
            raise MetricError(f"RD point: expected bits, pixels > 0 and a finite score, got {self}")

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return self.bits / self.pixels


@dataclass(frozen=True)
class RDCurve:
    """One codec, one metric, one data set.

    Attributes:
        label: of the codec.
        metric: name of the score, with its unit.
        points: in ascending order of bpp, whatever the order they are given in.

    Raises:
        MetricError: if there is no point, or two have the same bpp.
    """

    label: str
    metric: str
    points: tuple[RDPoint, ...]

    def __post_init__(self) -> None:
        points = tuple(sorted(self.points, key=lambda p: p.bpp))
        rates = [p.bpp for p in points]
        if not points or len(set(rates)) < len(rates):
            raise MetricError(f"{self.label}: expected points at different rates, got {rates} bpp")
        object.__setattr__(self, "points", points)

    @property
    def bpp(self) -> list[float]:
        """Rates, ascending."""
        return [p.bpp for p in self.points]

    @property
    def scores(self) -> list[float]:
        """Scores in the order of the rates."""
        return [p.score for p in self.points]
