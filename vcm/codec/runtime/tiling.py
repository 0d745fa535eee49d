"""Networks run on tiles of a picture: memory is bounded by the tile."""

from collections.abc import Callable

import torch
from torch import Tensor

from vcm.codec.format.tiles import HALO, Tile, grid
from vcm.codec.nets.lma import TwoValues


def filled(t: Tensor | TwoValues, tile: Tile, unit: int) -> Tensor:
    """A tile's part, the last row and column repeated where the picture ends early."""
    part: Tensor = tile.of(t, unit)
    for axis, latents in ((2, tile.size[0]), (3, tile.size[1])):
        length = part.shape[axis]
        if length < unit * latents:
            places = torch.arange(unit * latents, device=part.device).clamp(max=length - 1)
            part = part.index_select(axis, places)
    return part


def tiled(
    work: Callable[[Tile], Tensor],
    out: Tensor,
    height: int,
    width: int,
    side: int,
    unit: float = 1,
    halo: int = HALO,
) -> Tensor:
    """`out`, filled tile by tile with the results of `work`.

    Args:
        work: grown tile -> result on it, where one latent is `unit` elements long.
        out: (..., H, W), where one latent is `unit` elements long.
        halo: latents by which tiles are grown; at least the reach of `work`.
    """
    for tile in grid(height, width, side):
        outer = tile.grown(height, width, halo)
        tile.of(out, unit).copy_(tile.within(outer).of(work(outer), unit))
    return out
