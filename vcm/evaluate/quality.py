"""How pictures are compared: one literal table, from a name to what builds the comparison."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.errors import VcmError
from vcm.metrics import learned
from vcm.metrics.distortion import psnr
from vcm.metrics.perceptual import SIDE_MIN, ms_ssim_in

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Roi = NDArray[np.bool_]  # (H, W)
Compare = Callable[[Image, Image, Roi], Sequence[float]]
CAP: Final = 100.0  # dB; of equal pictures, so that a mean stays a number


class Measure(NamedTuple):
    """Metrics that are measured together.

    Attributes:
        metrics: their names, see `vcm.metrics.table`.
        side: of the smallest picture that they are defined on, in pixels.
        build: what makes the comparison of an original and a decoded picture with an ROI; it gives
            a number for each metric, not finite where there is none.
    """

    metrics: tuple[str, ...]
    side: int
    build: Callable[[], Compare]


def _psnrs(original: Image, decoded: Image, roi: Roi) -> list[float]:
    return [min(psnr(original, decoded, where), CAP) for where in (None, roi, ~roi)]


def _ms_ssims(original: Image, decoded: Image, roi: Roi) -> list[float]:
    return ms_ssim_in(original, decoded, (np.ones_like(roi), roi, ~roi))


def _distance(name: str) -> Compare:
    distance = learned.load(name)
    return lambda original, decoded, roi: [distance(original, decoded)]


COMPARISONS: Final[dict[str, Measure]] = {
    "psnr": Measure(("PSNR", "ROI-PSNR", "background PSNR"), 1, lambda: _psnrs),
    "ms-ssim": Measure(
        ("MS-SSIM", "ROI-MS-SSIM", "background MS-SSIM"), SIDE_MIN, lambda: _ms_ssims
    ),
    "st-lpips": Measure(("ST-LPIPS",), learned.SIDE_MIN, partial(_distance, "st-lpips")),
    "lpips": Measure(("LPIPS",), learned.SIDE_MIN, partial(_distance, "lpips")),
    "dists": Measure(("DISTS",), learned.SIDE_MIN, partial(_distance, "dists")),
}
ALWAYS: Final = ("psnr", "ms-ssim")
PERCEPTUAL: Final = tuple(name for name in COMPARISONS if name not in ALWAYS)


class Judge:
    """Compares decoded pictures with their originals.

    Args:
        perceptual: names of comparisons besides ALWAYS.

    Raises:
        MissingExtra: if a package of one of them is not installed.
        ModelError: if its network cannot be had.
    """

    def __init__(self, perceptual: Sequence[str] = ()):
        self._built = [(COMPARISONS[n], COMPARISONS[n].build()) for n in (*ALWAYS, *perceptual)]

    def scores(self, original: Image, decoded: Image, roi: Roi) -> dict[str, float]:
        """What can be measured of a picture, by the metrics' names.

        Args:
            original, decoded: (H, W, 3) uint8, RGB.
            roi: (H, W) bool.
        """
        found: dict[str, float] = {}
        for comparison, compare in self._built:
            if min(original.shape[:2]) >= comparison.side:
                values = compare(original, decoded, roi)
                found |= dict(zip(comparison.metrics, values, strict=True))
        return {name: value for name, value in found.items() if np.isfinite(value)}


def available(names: Sequence[str] = PERCEPTUAL) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of the perceptual comparisons that can be had here, and a line for each that cannot."""
    usable, lines = [], []
    for name in names:
        try:
            COMPARISONS[name].build()
            usable.append(name)
        except VcmError as error:
            lines.append(f"{name.upper()}: {error}")
    return tuple(usable), tuple(lines)
