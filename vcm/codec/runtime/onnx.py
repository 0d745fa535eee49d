"""A decoder without torch: the networks of `vcm export` by onnxruntime, the rest by numpy.

It follows docs/bitstream.md, section 3, with the same letters, as an example for decoders in other
languages. Arrays have no batch axis; h and w are the rows and columns of the latent.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcm import container
from vcm.codec.format import levels, tiles
from vcm.codec.format.constants import MEAN_UNIT, STRIDE, Y_MAX, latent_size
from vcm.codec.format.strings import read_z, strings_of
from vcm.codec.format.tiles import Tile
from vcm.codec.format.walk import walk
from vcm.codec.runtime.exported import Exported, Floats, parts, place
from vcm.codec.runtime.onnx_context import Bytes, OnnxContext, Plane, real
from vcm.container import Bitstream
from vcm.errors import BitstreamError, ModelError

AT_ONCE: Final = 3_000  # latents that the synthesis works on at once, at 30 KB each
Image = NDArray[np.uint8]  # (H, W, 3) RGB


class OnnxDecoder:
    """Reads the files of one model.

    Args:
        folder: what `vcm export` wrote.

    Raises:
        ModelError: if the folder is not an export, or a file in it is damaged.
    """

    def __init__(self, folder: str | Path):
        self._model = Exported(folder, lambda facts: facts["networks"]["decoder"])
        self.fingerprint: Final = self._model.fingerprint

    def decode(self, data: bytes) -> Image:
        """The picture of a .vcm file: (H, W, 3) uint8, RGB; within 1 of 255 of torch's float32.

        Raises:
            BitstreamError: if the file is damaged or foreign.
            ModelError: if it was written with other weights.
        """
        stream = container.unpack(data)
        header, y_hat = stream.header, self.latent(data)
        h, w = y_hat.shape[1:]
        quality = real(self._plane(stream, h, w))
        picture = np.empty((header.height, header.width, 3), np.uint8)
        for tile in parts(h, w, AT_ONCE):
            outer = tile.grown(h, w, self._model.reach("synthesis"))
            part = outer.of(y_hat).astype(np.float32) / MEAN_UNIT
            (x_hat,) = self._model.run("synthesis", part, quality=outer.of(quality))
            target = tile.of(picture.transpose(2, 0, 1), STRIDE)
            inner = _bytes(tile.within(outer).of(x_hat, STRIDE))
            target[:] = inner[:, : target.shape[1], : target.shape[2]]
        return picture

    def latent(self, data: bytes) -> NDArray[np.int16]:
        """y_hat of a .vcm file: (M, h, w) int16, in sixteenths; equal to the encoder's.

        Raises:
            BitstreamError, ModelError: as `decode`.
        """
        stream = container.unpack(data)
        header = stream.header
        if header.fingerprint != self.fingerprint:
            raise ModelError(
                f"the file was made with the model {header.fingerprint.hex()}, the exported one "
                f"is {self.fingerprint.hex()}; export the weights that made the file"
            )
        h, w = latent_size(header.height, header.width)
        tiles.check_side(header.tile, h, w)
        strings = strings_of(stream)
        z_hat = read_z(self._model.z, strings.z, self._model.channels["z"], h, w)
        context = OnnxContext(self._model, z_hat, self._plane(stream, h, w), header.tile)
        return self._read_y(strings.y, context, h, w)

    def _plane(self, stream: Bitstream, h: int, w: int) -> Plane:
        """The quality of each latent in hundredths: (1, h, w)."""
        quality = stream.header.quality
        if stream.map and not self._model.mapped:
            raise BitstreamError("section map: this model has one quality per picture")
        found = levels.unpack(stream.map, quality, h, w)
        same = np.full((1, h, w), quality, np.int32)
        return same if found is None else found.hundredths[None]

    def _read_y(self, string: bytes, context: OnnxContext, h: int, w: int) -> NDArray[np.int16]:
        reader = self._model.y.reader(string)
        y_hat = np.zeros((self._model.channels["y"], h, w), np.int16)

        def code(means: Floats, rows: Bytes, number: int, tile: Tile) -> NDArray[np.int16]:
            return reader.read(rows.ravel()).reshape(rows.shape).clip(-Y_MAX, Y_MAX)

        for number, tile, value in walk(context, context.grid, code):
            place(number, value, tile.of(y_hat))
        reader.end()
        return y_hat


def _bytes(x_hat: Floats) -> Image:
    """Values in [0, 1] as uint8; others are clamped, NaN becomes grey."""
    scaled = np.nan_to_num(x_hat, nan=0.5)
    np.rint(np.multiply(scaled.clip(0, 1, out=scaled), 255, out=scaled), out=scaled)
    return scaled.astype(np.uint8)
