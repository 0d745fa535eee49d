"""Tiles: memory is bounded by the tile, and results equal those of the whole picture.

Convolutions have a finite reach. A network that runs on a tile grown by its reach, and cut off at
the border of the picture, computes the same inside the tile as on the whole picture, up to
floating-point rounding.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

from vcm.codec.format.constants import STEP
from vcm.errors import BitstreamError

T_co = TypeVar("T_co", covariant=True)

SIDE = 96  # latents; a tile of 1536 x 1536 pixels
WHOLE = 192  # latents; pictures up to this size on both sides may be one tile
SIDE_MIN = 24  # latents; no encoder makes smaller tiles
HALO = 12  # latents by which tiles overlap at most, and where the networks' reach is not known
HYPER_HALO = 8  # a multiple of STEP: h_a and h_s reach up to 7.5


class Grid(Protocol[T_co]):
    """An array of any library that can be sliced."""

    def __getitem__(self, index: Any, /) -> T_co: ...


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

    def of(self, t: Grid[T_co], unit: float = 1) -> T_co:
        """The tile's part of (..., H, W), where one latent is `unit` elements long."""
        top, left, bottom, right = (-int(-edge * unit // 1) for edge in self)
        return t[..., top:bottom, left:right]

    def grown(self, height: int, width: int, halo: int = HALO) -> "Tile":
        """The tile and its surroundings, `halo` wide, inside a latent of height x width."""
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


def side_for(height: int, width: int) -> int:
    """The side of the tiles for a latent of this size; 0: one tile."""
    return SIDE if max(height, width) > WHOLE else 0


def check_side(side: int, height: int, width: int) -> None:
    """Raises a BitstreamError for a side that no encoder uses for a latent of this size."""
    fits = SIDE_MIN <= side <= WHOLE if side else max(height, width) <= WHOLE
    if side % STEP or not fits:
        raise BitstreamError(
            f"tile: expected a multiple of {STEP} from {SIDE_MIN} to {WHOLE} latents, "
            f"or 0 for up to {WHOLE} latents a side, got {side} for {width} x {height}"
        )


def grid(height: int, width: int, side: int) -> Iterator[Tile]:
    """The tiles of a latent, row by row; side 0: the whole latent is one."""
    side = side or max(height, width)
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Tile(top, left, min(height, top + side), min(width, left + side))
