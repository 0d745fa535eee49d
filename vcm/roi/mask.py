"""CVA, customizable value assign: from a region of interest to the mask value of each pixel."""

import logging
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from vcm.errors import SpecError

_log = logging.getLogger(__name__)
NOTHING: Final = "nothing found"  # in `RoiMask.source` if so
OnEmpty = Literal["whole", "background", "error"]  # what happens to a picture then
Area = (
    NDArray[np.bool_] | NDArray[np.floating[Any]]
)  # (H, W): inside or not, or how much each pixel matters


class RoiMask:
    """Which pixels of a picture matter, and how much.

    Source: Jin et al. 2025, arXiv:2507.00373: m = 1 inside, sigma outside. Deviation: inside, m may
    be any value in (0, 1].

    Args:
        roi: (H, W) bool, true inside; or floating point in [0, 1], the mask value inside, and 0
            outside. No pixel matters less than sigma.
        sigma: mask value outside, in (0, 1]; the background weighs sigma^2 in the distortion.
        source: where the mask comes from, for people to read.

    Attributes:
        roi: (H, W) bool, true inside.

    Raises:
        SpecError: if roi is not such an array or is empty, or a number is out of range.

    Example:
        >>> box = np.zeros((288, 288), bool)
        >>> box[40:200, 60:220] = True
        >>> roi = vcm.RoiMask(box, sigma=0.1, source="a box")
        >>> round(roi.share, 2)
        0.31
        >>> half = vcm.RoiMask(0.5 * box, sigma=0.1, source="a box that matters half as much")
        >>> float(half.values.max())
        0.5
    """

    def __init__(self, roi: Area, sigma: float, source: str):
        if roi.ndim != 2 or roi.size == 0 or not _is_area(roi):
            raise SpecError(
                f"mask: expected (H, W) bool or floating point, got {roi.shape} {roi.dtype}"
            )
        if not 0 < sigma <= 1:
            raise SpecError(f"sigma: expected a number over 0, at most 1, got {sigma}")
        self.sigma: Final = sigma
        self.source: Final = source
        self._inside: Final = None if roi.dtype == np.bool_ else _checked(roi)
        own = roi if self._inside is None else self._inside > 0
        self.roi: Final = cast(NDArray[np.bool_], own)

    @property
    def two_valued(self) -> bool:
        """Whether all values inside are 1."""
        return self._inside is None

    @property
    def outside(self) -> float:
        """sigma rounded to float16, but not to 0."""
        return float(max(np.float16(self.sigma), np.finfo(np.float16).smallest_subnormal))

    @property
    def inside(self) -> NDArray[np.bool_] | NDArray[np.float16]:
        """(H, W) bool, or float16 in [0, 1]: the `roi` that the mask was made from."""
        return self.roi if self._inside is None else self._inside

    @property
    def values(self) -> NDArray[np.float16]:
        """m: (H, W) float16 in (0, 1], sigma outside."""
        outside = np.float16(self.outside)
        inside = np.float16(1) if self._inside is None else np.maximum(self._inside, outside)
        return np.where(self.roi, inside, outside)

    @property
    def share(self) -> float:
        """Fraction of the picture that is inside."""
        return float(self.roi.mean())

    def at(self, sigma: float) -> "RoiMask":
        """The same mask with another value outside."""
        return RoiMask(self.inside, sigma, self.source)


def _is_area(roi: Area) -> bool:
    return roi.dtype == np.bool_ or bool(np.issubdtype(roi.dtype, np.floating))


def _checked(values: Area) -> NDArray[np.float16]:
    """Mask values as float16; raises a SpecError if they are not from 0 to 1."""
    if not (values.min() >= 0 and values.max() <= 1):  # also true of NaN
        raise SpecError(
            f"mask: expected values from 0 to 1, got {values.min():g} to {values.max():g}"
        )
    return values.astype(np.float16)


def valued(roi: Area, sigma: float, source: str, on_empty: OnEmpty, empty: str) -> RoiMask:
    """The mask of a region; if the region is empty, what `on_empty` says.

    Args:
        roi: (H, W) bool or floating point, as `RoiMask` takes it.
        on_empty: "whole": all of the picture is inside; "background": all of it is outside.
        empty: message for an empty region.

    Raises:
        SpecError: if the region is empty and `on_empty` is "error".
    """
    if roi.any():
        return RoiMask(roi, sigma, source)
    if on_empty == "error":
        raise SpecError(empty, hint="empty")
    nothing = np.zeros(roi.shape, np.bool_)
    if on_empty == "background":
        _log.warning("%s: all of the picture is background", empty)
        return RoiMask(nothing, sigma, f"{source}: {NOTHING}, all background")
    _log.warning("%s: the whole picture is coded evenly", empty)
    return RoiMask(~nothing, sigma, f"{source}: {NOTHING}, coded evenly")
