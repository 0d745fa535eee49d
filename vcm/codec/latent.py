"""Latents to strings and back: what encoder and decoder must agree on, bit for bit."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vcm.codec import tiles
from vcm.codec.coder import Coder, Rows, Symbols
from vcm.codec.entropy import MEAN_UNIT, PASSES, Z_MAX, Parameters, quarter, spread
from vcm.codec.model import Quality, RoiHyperprior
from vcm.codec.tables import Tables
from vcm.codec.tiles import Tile

Y_HAT_MAX = 2**15 - 1  # sixteenths, as int16 holds them
Y_MAX = 2_000  # steps; ordinary latents stay within some hundred
Part = tuple[Symbols, Rows]  # symbols and the table rows that code them


class Strings(NamedTuple):
    """A coded picture: the bytes of z and of y."""

    z: bytes
    y: bytes


class Latent(NamedTuple):
    """A quantised picture, before its bytes.

    Attributes:
        y_hat: (1, M, h, w) int16, in sixteenths of a step: exactly what the decoder gets.
        z_part, y_parts: symbols in coding order.
    """

    y_hat: Tensor
    z_part: Part
    y_parts: list[Part]


class Prepared(NamedTuple):
    """A picture on its way to be quantised.

    Attributes:
        y: (1, M, h, w) float16, before quantisation.
        z_hat: (1, Z, ceil(h/4), ceil(w/4)) float32, integers in [-15, 15].
        quality: what the networks see of it.
        side: of the tiles in latents, 0 for none.
    """

    y: Tensor
    z_hat: Tensor
    quality: Quality
    side: int


class LatentCoder:
    """Quantises, writes and reads the latents of a model with its coding tables."""

    def __init__(self, model: RoiHyperprior, tables: dict[str, Tables]):
        self.tables = tables
        self._model = model
        self._coders = {name: Coder(table) for name, table in tables.items()}

    def quantise(self, prepared: Prepared) -> Latent:
        """The symbols of a picture, and its y_hat."""
        parts: list[Part] = []
        y_hat = self._quantise(prepared, lambda *part: parts.append(part))
        return Latent(y_hat, _z_part(prepared.z_hat), parts)

    def encode(self, prepared: Prepared) -> Strings:
        """The strings of a picture; its symbols are coded as they come and not kept."""
        z, y = (self._coders[name].writer() for name in ("z", "y"))
        z.write(*_z_part(prepared.z_hat))
        self._quantise(prepared, y.write)
        return Strings(z.data(), y.data())

    def _quantise(self, prepared: Prepared, take: Callable[[Symbols, Rows], None]) -> Tensor:
        (h, w), y = prepared.y.shape[2:], prepared.y

        def code(p: Parameters, coded: Tensor, number: int, tile: Tile) -> Tensor:
            part = quarter(number, _even(tile.of(y).float()))
            symbols = (part - p.means).round().clamp(-Y_MAX, Y_MAX) * coded
            take(*_part(symbols[coded], p.rows[coded]))
            return symbols

        return self._walk(prepared.z_hat, h, w, prepared.quality, prepared.side, code)

    def bits(self, latent: Latent) -> float:
        """The entropy of a latent by the coding tables: what its strings should measure."""
        y_bits = sum(self._coders["y"].bits(*part) for part in latent.y_parts)
        return self._coders["z"].bits(*latent.z_part) + y_bits

    def count(self, latent: Latent, counts: dict[str, NDArray[np.int64]]) -> None:
        """Add to the counts of "z" and "y", (rows, entries), how often each entry is used."""
        self._coders["z"].count(*latent.z_part, counts["z"])
        for part in latent.y_parts:
            self._coders["y"].count(*part, counts["y"])

    def read(self, strings: Strings, h: int, w: int, quality: Quality, side: int) -> Tensor:
        """y_hat: (1, M, h, w) int16 in sixteenths of a step, equal to the encoder's.

        Raises:
            BitstreamError: if the strings cannot be of such a latent.
        """
        tiles.check_side(side, h, w)
        shape = (1, self._model.sizes.Z, *z_size(h, w))
        z_symbols = self._coders["z"].reader(strings.z).read(_z_rows(shape))
        z_hat = torch.from_numpy(z_symbols).reshape(shape).float().clamp(-Z_MAX, Z_MAX)
        reader = self._coders["y"].reader(strings.y)

        def code(p: Parameters, coded: Tensor, number: int, tile: Tile) -> Tensor:
            symbols = torch.zeros_like(p.means)
            rows = p.rows[coded].to(torch.uint8).numpy()
            symbols[coded] = torch.from_numpy(reader.read(rows)).float()
            return symbols.clamp(-Y_MAX, Y_MAX)

        return self._walk(z_hat, h, w, quality, side, code)

    def _walk(
        self,
        z_hat: Tensor,
        h: int,
        w: int,
        quality: Quality,
        side: int,
        code: Callable[[Parameters, Tensor, int, Tile], Tensor],
    ) -> Tensor:
        """y_hat in sixteenths, by all passes over all tiles in coding order.

        `code` is where encoder and decoder differ: from the parameters of a tile in a pass and the
        bool map of what is coded there, it gives the symbols, 0 where nothing is coded.
        """
        networks, sizes = self._model.parameters_y, self._model.sizes

        def features_of(tile: Tile) -> Tensor:
            z = tile.of(z_hat, 1 / tiles.STEP)
            return networks.features(z, quality.level, tile.size)

        features = torch.empty(1, sizes.width, h, w, dtype=torch.uint8)  # they are 0 to 255
        tiles.tiled(features_of, features, h, w, side)
        y_hat = torch.zeros(1, sizes.M, h, w, dtype=torch.int16)
        for number in range(PASSES):
            for tile in tiles.grid(h, w, side):
                outer = tile.grown(h, w, halo=2)  # the context reaches 1; even, for the squares
                given, known = (_even(outer.of(t).float()) for t in (features, y_hat))
                # tiles must not see what this pass has coded in those before them
                known -= spread(number, quarter(number, known))
                p = networks(number, given, quality.level, known)
                inner = tile.within(outer)
                p = Parameters(inner.of(p.rows, 1 / 2), inner.of(p.means, 1 / 2))
                inside = quarter(
                    number, _even(torch.ones(1, sizes.M, *tile.size, dtype=torch.bool))
                )
                symbols = code(p, (p.rows > 0) & inside, number, tile)
                value = ((symbols + p.means) * MEAN_UNIT).clamp(-Y_HAT_MAX, Y_HAT_MAX)
                new = spread(number, value.to(torch.int16))
                tile.of(y_hat).add_(new[..., : tile.size[0], : tile.size[1]])
        return y_hat


def _even(t: Tensor) -> Tensor:
    """With a row or a column of zeros more where their number is odd."""
    return F.pad(t, (0, t.shape[-1] % 2, 0, t.shape[-2] % 2))


def z_size(h: int, w: int) -> tuple[int, int]:
    """Height and width of z for a latent of (h, w)."""
    return -(-h // tiles.STEP), -(-w // tiles.STEP)


def _z_rows(shape: tuple[int, ...]) -> Rows:
    """Table row of each z symbol, its channel: (Z * h * w,)."""
    return np.repeat(np.arange(shape[1], dtype=np.uint8), shape[2] * shape[3])


def _z_part(z_hat: Tensor) -> Part:
    return _part(z_hat, torch.from_numpy(_z_rows(z_hat.shape)))


def _part(symbols: Tensor, rows: Tensor) -> Part:
    """Small types: a large picture has a hundred million of them."""
    return (
        symbols.flatten().to(torch.int16).numpy(),
        rows.flatten().to(torch.uint8).numpy(),
    )
