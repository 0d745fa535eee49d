"""What is known of a latent while it is coded, tile by tile: the input of the entropy networks."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.codec.format import tiles
from vcm.codec.format.constants import STEP
from vcm.codec.format.tiles import Tile
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.codec.nets.entropy import Parameters
from vcm.codec.nets.integer import SIGNED_ZERO, compand
from vcm.codec.nets.quarters import place, quarter
from vcm.codec.runtime.tiling import tiled

_LAST = torch.channels_last
HALO = 2  # the context reaches 1; even, so that squares stay whole


class Context:
    """Features of z_hat and the known part of y_hat, as bytes, for a whole picture.

    Args:
        z_hat: (1, Z, ceil(h/4), ceil(w/4)) float32, integers in [-15, 15].
        control: of the picture.
        h, w: of its latent.
        side: of the tiles in latents, 0 for none.
        as_bytes: whether it is held as uint8, for which convolutions may have byte instructions;
            else as float32, which takes four times the memory.

    Attributes:
        grid: the tiles in the order that each pass codes them.
    """

    def __init__(
        self,
        model: RoiHyperprior,
        z_hat: Tensor,
        control: Controls,
        h: int,
        w: int,
        side: int,
        as_bytes: bool = True,
    ):
        networks, sizes = model.decoder.parameters_y, model.sizes

        def features_of(tile: Tile) -> Tensor:
            z = tile.of(z_hat, 1 / STEP)
            if as_bytes:
                z = z.to(torch.int8)
            with exact(z.device):
                return networks.features(z, control.part(tile), tile.size)

        self._networks, self._control = networks, control
        self.grid = list(tiles.grid(h, w, side))
        dtype, self._zero = (torch.uint8, SIGNED_ZERO) if as_bytes else (torch.float32, 0)
        empty = partial(torch.empty, dtype=dtype, device=z_hat.device, memory_format=_LAST)
        self._features = empty((1, sizes.width, h, w))
        tiled(features_of, self._features, h, w, side, halo=tiles.HYPER_HALO)
        self._known = empty((1, sizes.M, h, w))
        self._known.fill_(self._zero)

    def parameters(self, number: int, tile: Tile) -> Parameters:
        """Those of a pass in a tile: rows uint8 and means float32, each (1, M, h/2, w/2)."""
        h, w = self._known.shape[2:]
        outer = tile.grown(h, w, HALO)
        around = even(outer.of(self._known), self._zero)
        if outer != tile:  # a tile must not see what this pass has coded in earlier tiles
            around = around.clone()
            place(number, torch.full_like(quarter(number, around), self._zero), around)
        features = even(outer.of(self._features))
        control = self._control.part(outer).filled(2)
        with exact(around.device):
            rows, means = self._networks(number, features, control, around)
        inner = tile.within(outer)
        rows, means = inner.of(rows, 1 / 2).to(torch.uint8), inner.of(means, 1 / 2)
        if tile.size[0] % 2 or tile.size[1] % 2:  # nothing is coded outside the picture
            rows *= quarter(number, even(torch.ones_like(tile.of(self._known), dtype=torch.uint8)))
        return Parameters(rows, means)

    def learn(self, number: int, tile: Tile, value: Tensor) -> None:
        """Take in what a pass coded in a tile: y_hat in sixteenths, (1, M, h/2, w/2)."""
        place(number, compand(value) + self._zero, tile.of(self._known))


def exact(device: torch.device) -> torch.autocast:
    """Turns off a caller's autocast: bfloat16 cannot hold these integers."""
    return torch.autocast(device.type, enabled=False)


def even(t: Tensor, value: float = 0) -> Tensor:
    """Padded by a row or a column where their number is odd."""
    return F.pad(t, (0, t.shape[-1] % 2, 0, t.shape[-2] % 2), value=value)
