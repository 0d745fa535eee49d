"""Tiles: memory bounded by the tile, results equal to those of the whole picture.

Convolutions reach a finite way. A network that runs on a tile grown by its reach, cut at the
border of the picture, gives inside the tile exactly what it gives on the whole picture, up to the
rounding of floating point.

The module loads no torch: a decoder without it cuts its tiles here too.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from vcm.errors import BitstreamError

if TYPE_CHECKING:
    from torch import Tensor

    from vcm.codec.nets.lma import TwoValues

SIDE = 96  # latents; a tile of 1536 x 1536 pixels
WHOLE = 192  # latents; pictures up to this size on both sides may be one tile
STEP = 4  # latents per z symbol: where tiles may begin
SIDE_MIN = 24  # latents; smaller tiles are nobody's
HALO = 12  # latents that tiles overlap by where it is not known how far the networks reach
HYPER_HALO = 8  # a multiple of STEP: h_a and h_s reach up to 7.5


class Tile(NamedTuple):
    """A rectangle of latents, half-open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in latents."""
        return self.bottom - self.top, self.right - self.left

    @overload
    def of(self, t: "Tensor | TwoValues", unit: float = 1) -> "Tensor": ...
    @overload
    def of(self, t: NDArray[np.generic], unit: float = 1) -> NDArray[Any]: ...
    def of(self, t: Any, unit: float = 1) -> Any:
        """The tile's part of (..., H, W), where one latent is `unit` elements long."""
        top, left, bottom, right = (-int(-edge * unit // 1) for edge in self)
        return t[..., top:bottom, left:right]

    def grown(self, height: int, width: int, halo: int = HALO) -> "Tile":
        """The tile and what is around it, inside a latent of height x width."""
        return Tile(
            max(0, self.top - halo),
            max(0, self.left - halo),
            min(height, self.bottom + halo),
            min(width, self.right + halo),
        )

    def within(self, outer: "Tile") -> "Tile":
        """The same tile in the coordinates of an outer one."""
        return Tile(
            self.top - outer.top,
            self.left - outer.left,
            self.bottom - outer.top,
            self.right - outer.left,
        )


def filled(t: "Tensor | TwoValues", tile: Tile, unit: int) -> "Tensor":
    """A tile's part, the last row and column repeated where the picture ends early."""
    import torch

    part = tile.of(t, unit)
    for axis, latents in ((2, tile.size[0]), (3, tile.size[1])):
        length = part.shape[axis]
        if length < unit * latents:
            places = torch.arange(unit * latents).clamp(max=length - 1)
            part = part.index_select(axis, places)
    return part


def side_for(height: int, width: int) -> int:
    """The side of the tiles for a latent of that size; 0: one tile."""
    return SIDE if max(height, width) > WHOLE else 0


def check_side(side: int, height: int, width: int) -> None:
    """Raises a BitstreamError for tiles that no encoder makes, of a latent of that size."""
    fits = SIDE_MIN <= side <= WHOLE if side else max(height, width) <= WHOLE
    if side % STEP or not fits:
        raise BitstreamError(
            f"tile: expected a multiple of {STEP} from {SIDE_MIN} to {WHOLE} latents, "
            f"or 0 for up to {WHOLE} latents a side, got {side} for {width} x {height}"
        )


def grid(height: int, width: int, side: int) -> Iterator[Tile]:
    """The tiles of a latent, row by row; side 0: the whole."""
    side = side or max(height, width)
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Tile(top, left, min(height, top + side), min(width, left + side))


def tiled(
    work: "Callable[[Tile], Tensor]",
    out: "Tensor",
    height: int,
    width: int,
    side: int,
    unit: float = 1,
    halo: int = HALO,
) -> "Tensor":
    """`out`, filled tile by tile with what `work` makes of each grown tile.

    Args:
        work: gives the result on a grown tile, (..., units, units).
        out: (..., H, W), where one latent is `unit` elements long.
        halo: latents by which tiles are grown: as far as `work` sees.
    """
    for tile in grid(height, width, side):
        outer = tile.grown(height, width, halo)
        tile.of(out, unit).copy_(tile.within(outer).of(work(outer), unit))
    return out
