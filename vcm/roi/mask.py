"""CVA, customizable value assign: a mask and the value that its outside gets."""

import logging
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vcm.errors import SpecError

_log = logging.getLogger(__name__)
NOTHING: Final = "nothing found"  # in the source of a mask
OnEmpty = Literal["whole", "background", "error"]  # what becomes of a picture then


@dataclass(frozen=True, eq=False)
class RoiMask:
    """What matters in a picture, and how much the rest does.

    Source: Jin et al. 2025, arXiv:2507.00373: m = 1 inside, sigma outside.

    Attributes:
        roi: (H, W) bool, true inside.
        sigma: mask value outside, in (0, 1]; the background weighs sigma^2 in the distortion.
        source: where the mask comes from, for people.

    Raises:
        SpecError: if roi is not a bool array of two axes, has no pixel, or sigma is out of range.

    Example:
        >>> box = np.zeros((288, 288), bool)
        >>> box[40:200, 60:220] = True
        >>> roi = vcm.RoiMask(box, sigma=0.1, source="a box")
        >>> round(roi.share, 2)
        0.31
    """

    roi: NDArray[np.bool_]
    sigma: float
    source: str

    def __post_init__(self) -> None:
        if self.roi.dtype != np.bool_ or self.roi.ndim != 2 or self.roi.size == 0:
            raise SpecError(f"mask: expected (H, W) bool, got {self.roi.shape} {self.roi.dtype}")
        if not 0 < self.sigma <= 1:
            raise SpecError(f"sigma: expected a number over 0, at most 1, got {self.sigma}")

    @property
    def outside(self) -> float:
        """sigma as float16 has it."""
        return float(max(np.float16(self.sigma), np.finfo(np.float16).smallest_subnormal))

    @property
    def values(self) -> NDArray[np.float16]:
        """m: (H, W) float16, 1 inside and sigma outside."""
        return np.where(self.roi, np.float16(1), np.float16(self.outside))

    @property
    def share(self) -> float:
        """Fraction of the picture that is inside."""
        return float(self.roi.mean())


def valued(
    roi: NDArray[np.bool_], sigma: float, source: str, on_empty: OnEmpty, empty: str
) -> RoiMask:
    """The mask with its values, and what becomes of one that selects nothing.

    Args:
        roi: (H, W) bool.
        on_empty: "whole": all of the picture is inside; "background": all of it is outside.
        empty: how to say that nothing is selected.

    Raises:
        SpecError: if nothing is selected and that is an error.
    """
    if roi.any():
        return RoiMask(roi, sigma, source)
    if on_empty == "error":
        raise SpecError(empty, hint="empty")
    if on_empty == "background":
        _log.warning("%s: all of the picture is background", empty)
        return RoiMask(roi, sigma, f"{source}: {NOTHING}, all background")
    _log.warning("%s: the whole picture is coded evenly", empty)
    return RoiMask(np.ones_like(roi), sigma, f"{source}: {NOTHING}, coded evenly")
