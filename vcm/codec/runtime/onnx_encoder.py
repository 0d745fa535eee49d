"""An encoder without torch: the networks of `vcm export` by onnxruntime, the rest by numpy.

Its files equal those of `vcm.codec.runtime.encoder` up to rounding in float32. Arrays have no batch
axis; h and w are the rows and columns of the latent.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format import cva, levels, tiles
from vcm.codec.format.constants import STEP, STRIDE, Y_MAX, latent_size, z_size
from vcm.codec.format.control import Control
from vcm.codec.format.levels import LevelMap
from vcm.codec.format.strings import Strings
from vcm.codec.format.tables import SYMBOL_MAX
from vcm.codec.format.tiles import Tile
from vcm.codec.format.walk import walk, z_rows
from vcm.codec.runtime.exported import Exported, Floats, even, filled, parts, quarter, zeros_beyond
from vcm.codec.runtime.onnx_context import Bytes, OnnxContext, Plane, real

AT_ONCE: Final = 5_000  # latents that the analysis works on at once, at 20 KB each
Image = NDArray[np.uint8]  # (H, W, 3) RGB
Values = NDArray[np.floating[Any]]  # (H, W)


class OnnxEncoder:
    """Makes the strings of pictures, with one model.

    Args:
        folder: what `vcm export` wrote.

    Raises:
        ModelError: if the folder is not an export, or a file in it is damaged.
    """

    def __init__(self, folder: str | Path):
        self._model = Exported(folder, _needed)
        self.fingerprint: Final = self._model.fingerprint
        low, high = self._model.facts["lmbda"]
        self._lmbda = float(low), float(high)

    def side_of(self, height: int, width: int) -> int:
        """Side, in latents, of the tiles that a picture of this size is coded in; 0: no tiles."""
        return tiles.side_for(*latent_size(height, width))

    def compress(self, x: Image, m: Values, quality: float) -> Strings:
        """The strings of a picture.

        Args:
            x: (H, W, 3) uint8, RGB.
            m: (H, W) floating point in (0, 1], mask values: 1 inside, sigma outside.
            quality: 0 (fewest bits) to 100; two decimals are kept.

        Raises:
            SpecError: if the quality is not in that range.
        """
        h, w = latent_size(*x.shape[:2])
        values = self._values(m, h, w)
        control = self._mapped(values, Control(quality))
        plane = np.broadcast_to(control.plane, (1, h, w))
        y = self._analysed(x, m, values, real(plane))
        strings = self._strings(y, plane, self.side_of(*x.shape[:2]))
        section = b"" if control.map is None else levels.pack(control.map, control.hundredths)
        return strings._replace(map=section)

    def _values(self, m: Values, h: int, w: int) -> Floats:
        """The mask value of each latent: (1, h, w), at most 16 different ones."""
        out = np.ones((1, h, w), np.float32)
        if not self._model.mapped:
            return out
        for tile in tiles.grid(h, w, tiles.SIDE):
            outer = tile.grown(h, w, 1)
            own = cva.of_latents(_part(m, outer))
            tile.of(out)[:] = tile.within(outer).of(own)
        return cva.grouped(out)

    def _mapped(self, values: Floats, control: Control) -> Control:
        """The control with the map that follows from the values of latents."""
        plane = cva.qualities(control.hundredths, values[0], self._lmbda)
        uniform = (plane == control.hundredths).all()
        return control if uniform else replace(control, map=LevelMap.of(plane))

    def _analysed(self, x: Image, m: Values, values: Floats, quality: Floats) -> NDArray[np.half]:
        """y: (M, h, w), before quantisation."""
        h, w = values.shape[1:]
        y = np.empty((self._model.channels["y"], h, w), np.half)
        pixels = x.transpose(2, 0, 1)
        for tile in parts(h, w, AT_ONCE):
            outer = tile.grown(h, w, self._model.reach("analysis"))
            part = filled(outer.of(pixels, STRIDE), STRIDE).astype(np.float32, order="C")
            part /= 255
            (found,) = self._model.run(
                "analysis", part, m=_part(m, outer), values=outer.of(values),
                quality=outer.of(quality),
            )  # fmt: skip
            own = tile.within(outer).of(found)
            tile.of(y)[:] = own.clip(-SYMBOL_MAX, SYMBOL_MAX)
        return y

    def _strings(self, y: NDArray[np.half], plane: Plane, side: int) -> Strings:
        z_hat = self._hyper(y, side)
        z_writer, y_writer = self._model.z.writer(), self._model.y.writer()
        z_writer.write(z_hat.ravel(), z_rows(*z_hat.shape))

        def code(means: Floats, rows: Bytes, number: int, tile: Tile) -> Floats:
            part = quarter(number, even(tile.of(y))).astype(np.float32)
            symbols: Floats = np.rint(part - means).clip(-Y_MAX, Y_MAX) * (rows > 0)
            y_writer.write(symbols.ravel().astype(np.int16), rows.ravel())
            return symbols

        context = OnnxContext(self._model, z_hat, plane, side)
        for _ in walk(context, context.grid, code):
            pass
        return Strings(z_writer.data(), y_writer.data())

    def _hyper(self, y: NDArray[np.half], side: int) -> NDArray[np.int16]:
        """z_hat: (Z, ceil(h/4), ceil(w/4)), integers in [-15, 15]."""
        h, w = y.shape[1:]
        z_hat = np.empty((self._model.channels["z"], *z_size(h, w)), np.int16)
        for tile in tiles.grid(h, w, side):
            outer = tile.grown(h, w, tiles.HYPER_HALO)
            (z,) = self._model.run("hyper", zeros_beyond(outer.of(y), STEP))
            tile.of(z_hat, 1 / STEP)[:] = np.rint(tile.within(outer).of(z, 1 / STEP))
        return z_hat


def _needed(facts: dict[str, dict[str, list[str]]]) -> list[str]:
    """The networks of an encoder, and those of the decoder that it has to run too."""
    networks = facts["networks"]
    return [*networks["encoder"], *(n for n in networks["decoder"] if n != "synthesis")]


def _part(m: Values, tile: Tile) -> Floats:
    """A tile's mask values, the last row and column repeated outside the picture: (1, H, W)."""
    return filled(np.asarray(tile.of(m, STRIDE), np.float32)[None], STRIDE)
