"""Latents to strings and back: what encoder and decoder must agree on, bit for bit."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcm.codec.format import tiles
from vcm.codec.format.coder import Coder, Rows, Symbols
from vcm.codec.format.constants import STEP, Y_MAX, z_size
from vcm.codec.format.strings import Strings, read_z
from vcm.codec.format.tables import Tables
from vcm.codec.format.tiles import Tile
from vcm.codec.format.walk import walk, z_rows
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.codec.nets.quarters import place, quarter
from vcm.codec.runtime.context import Context, even

# Number of the pass, tile, and y_hat in sixteenths there: (1, M, h/2, w/2) float32.
Walk = Iterator[tuple[int, Tile, Tensor]]
Part = tuple[Symbols, Rows]  # symbols and the table rows that code them


class Latent(NamedTuple):
    """A quantised picture, not yet coded into bytes.

    Attributes:
        y_hat: (1, M, h, w) int16, in sixteenths of a step: exactly the decoder's.
        z_part, y_parts: symbols in coding order.
    """

    y_hat: Tensor
    z_part: Part
    y_parts: list[Part]


class Unquantised(NamedTuple):
    """A picture before quantisation.

    Attributes:
        y: (1, M, h, w) float16, before quantisation.
        z_hat: (1, Z, ceil(h/4), ceil(w/4)) float32, integers in [-15, 15].
        control: of the picture, as tensors.
        side: of the tiles in latents, 0 for none.
    """

    y: Tensor
    z_hat: Tensor
    control: Controls
    side: int


class LatentCoder:
    """Quantises, writes and reads the latents of a model with its coding tables.

    Attributes:
        device: of the model and the latents.
    """

    def __init__(self, model: RoiHyperprior, tables: dict[str, Tables]):
        self.tables = tables
        self.device = next(model.parameters()).device
        self._model = model
        self._coders = {"z": Coder(tables["z"]), "y": Coder(tables["y"], silent=1)}

    def quantise(self, prepared: Unquantised) -> Latent:
        """The symbols of a picture, and its y_hat."""
        parts: list[Part] = []
        y_hat = torch.zeros(prepared.y.shape, dtype=torch.int16, device=self.device)
        for number, tile, value in self._quantise(prepared, lambda *part: parts.append(part)):
            place(number, value, tile.of(y_hat))
        return Latent(y_hat, _z_part(prepared.z_hat), parts)

    def encode(self, prepared: Unquantised) -> Strings:
        """The strings of a picture; symbols are coded at once and not kept."""
        z, y = (self._coders[name].writer() for name in ("z", "y"))
        z.write(*_z_part(prepared.z_hat))
        for _ in self._quantise(prepared, y.write):
            pass
        return Strings(z.data(), y.data())

    def _quantise(self, prepared: Unquantised, take: Callable[[Symbols, Rows], None]) -> Walk:
        (h, w), y = prepared.y.shape[2:], prepared.y

        def code(means: Tensor, rows: Tensor, number: int, tile: Tile) -> Tensor:
            part = quarter(number, even(tile.of(y).float()))
            symbols = (part - means).round_().clamp_(-Y_MAX, Y_MAX).mul_(rows > 0)
            take(*_part(symbols, rows))
            return symbols

        context = Context(self._model, prepared.z_hat, prepared.control, h, w, prepared.side)
        return walk(context, context.grid, code)

    def bits(self, latent: Latent) -> float:
        """The entropy of a latent by the coding tables in bits: about the size of its strings."""
        y_bits = sum(self._coders["y"].bits(*part) for part in latent.y_parts)
        return self._coders["z"].bits(*latent.z_part) + y_bits

    def count(self, latent: Latent, counts: dict[str, NDArray[np.int64]]) -> None:
        """Add to the counts of "z" and "y", (rows, entries), how often each entry is used."""
        self._coders["z"].count(*latent.z_part, counts["z"])
        for part in latent.y_parts:
            self._coders["y"].count(*part, counts["y"])

    def check(self, strings: Strings, h: int, w: int, side: int) -> None:
        """Refuse, before any work, strings that are too short for a latent of (h, w).

        Raises:
            BitstreamError: if no encoder uses such tiles, or z is too short.
        """
        tiles.check_side(side, h, w)
        rows, columns = z_size(h, w)
        self._coders["z"].reader(strings.z).check_room(rows * columns)

    def read(
        self,
        strings: Strings,
        h: int,
        w: int,
        control: Controls,
        side: int,
        as_bytes: bool = True,
    ) -> Tensor:
        """y_hat: (1, M, h, w) int16 in sixteenths of a step, equal to the encoder's.

        Args:
            as_bytes: whether entropy networks may use byte instructions; float32 is slower, and
                exact on every processor.

        Raises:
            BitstreamError: if the strings cannot belong to such a latent.
        """
        z_hat = self._read_z(strings, h, w, side)  # first, so that a forged size takes no memory
        y_hat = torch.zeros(1, self._model.sizes.M, h, w, dtype=torch.int16, device=self.device)
        context = Context(self._model, z_hat, control, h, w, side, as_bytes)
        for number, tile, value in self._read_y(strings.y, context, lambda symbols, rows: None):
            place(number, value, tile.of(y_hat))
        return y_hat

    def bits_at(
        self,
        strings: Strings,
        h: int,
        w: int,
        control: Controls,
        side: int,
        as_bytes: bool = True,
    ) -> Tensor:
        """Bits spent on each position of a latent, summed over channels: (h, w) float32.

        The bits of a z symbol are divided evenly among the 4x4 positions below it; arguments as for
        `read`.

        Raises:
            BitstreamError: if the strings cannot belong to such a latent.
        """
        z_hat = self._read_z(strings, h, w, side)
        of_z = torch.from_numpy(self._coders["z"].bits_of_each(*_z_part(z_hat))).view(z_hat.shape)
        of_y, parts = torch.zeros(1, self._model.sizes.M, h, w), list[Part]()
        context = Context(self._model, z_hat, control, h, w, side, as_bytes)
        for number, tile, value in self._read_y(strings.y, context, lambda *p: parts.append(p)):
            each = torch.from_numpy(self._coders["y"].bits_of_each(*parts.pop()))
            place(number, each.view(value.shape), tile.of(of_y))
        wide = of_z.sum((0, 1)) / STEP**2
        for axis, length in enumerate((h, w)):
            wide = wide.repeat_interleave(STEP, axis).narrow(axis, 0, length)
        return of_y.sum((0, 1)) + wide

    def _read_z(self, strings: Strings, h: int, w: int, side: int) -> Tensor:
        """z_hat: (1, Z, ceil(h/4), ceil(w/4)) float32."""
        tiles.check_side(side, h, w)
        z_hat = read_z(self._coders["z"], strings.z, self._model.sizes.Z, h, w)
        return torch.from_numpy(z_hat)[None].to(self.device, torch.float32)

    def _read_y(
        self, string: bytes, context: Context, take: Callable[[Symbols, Rows], None]
    ) -> Walk:
        reader = self._coders["y"].reader(string)

        def code(means: Tensor, rows: Tensor, number: int, tile: Tile) -> Tensor:
            flat = rows.flatten().cpu().numpy()
            symbols = reader.read(flat)
            take(symbols, flat)
            found = torch.from_numpy(symbols).view(rows.shape).clamp_(-Y_MAX, Y_MAX)
            return found.to(self.device)

        yield from walk(context, context.grid, code)
        reader.end()


def _z_part(z_hat: Tensor) -> Part:
    return _part(z_hat, torch.from_numpy(z_rows(*z_hat.shape[1:])))


def _part(symbols: Tensor, rows: Tensor) -> Part:
    """In small types: a large picture has a hundred million symbols."""
    return (
        symbols.flatten().to(torch.int16).cpu().numpy(),
        rows.flatten().to(torch.uint8).cpu().numpy(),
    )
