"""A decoder without torch: the networks of `vcm export` by onnxruntime, the rest by numpy.

Written after docs/bitstream.md, section 3, whose letters it uses; an example for decoders in other
languages. Arrays have no batch axis; h and w are the rows and columns of the latent.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm import container
from vcm.codec.format import levels, tiles
from vcm.codec.format.coder import Coder
from vcm.codec.format.constants import (
    LEVELS,
    MEAN_UNIT,
    PASSES,
    QUALITY_STEPS,
    STEP,
    STRIDE,
    Y_MAX,
    latent_size,
)
from vcm.codec.format.strings import Strings, read_z, strings_of
from vcm.codec.format.tables import Tables
from vcm.codec.format.tiles import Tile
from vcm.codec.format.walk import places, walk
from vcm.container import Bitstream
from vcm.errors import BitstreamError, ModelError
from vcm.ort import Session

FORMAT: Final = "vcm-onnx-2"
FACTS: Final = "codec.json"
HALO: Final = 2  # latents that the context reaches, at least, in whole squares

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class OnnxDecoder:
    """Reads the files of one model.

    Args:
        folder: what `vcm export` wrote.

    Raises:
        ModelError: if it is no such folder, or a file in it is damaged.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder)
        try:
            facts = json.loads((self._folder / FACTS).read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"expected the format {FORMAT}, got {facts['format']}")
            self.fingerprint: Final = bytes.fromhex(facts["fingerprint"])
            self._channels: dict[str, int] = facts["channels"]
            self._below: int = facts["below"]
            tables = {n: Tables.of(t["cdf"], t["offset"]) for n, t in facts["tables"].items()}
            self._z, self._y = Coder(tables["z"]), Coder(tables["y"], silent=1)
            self._networks = {n: self._network(n) for n in facts["networks"]["decoder"]}
        except (OSError, KeyError, TypeError, ValueError, ModelError) as error:
            raise ModelError(
                f"{str(folder)!r} is not what `vcm export` writes ({error}); export it again"
            ) from error

    def decode(self, data: bytes) -> Image:
        """The picture of a .vcm file: (H, W, 3) uint8, RGB; within 1 of 255 of torch's float32.

        Raises:
            BitstreamError: if the file is damaged or foreign.
            ModelError: if it was written with other weights.
        """
        stream = container.unpack(data)
        header, y_hat = stream.header, self.latent(data)
        h, w = y_hat.shape[1:]
        quality = (self._plane(stream, h, w) / QUALITY_STEPS).astype(np.float32)
        picture = np.empty((header.height, header.width, 3), np.uint8)
        for tile in tiles.grid(h, w, tiles.side_for(h, w)):
            outer = tile.grown(h, w)
            part = outer.of(y_hat).astype(np.float32) / MEAN_UNIT
            (x_hat,) = self.run("synthesis", part, quality=outer.of(quality))
            pixels = np.rint(np.clip(np.nan_to_num(x_hat, nan=0.5), 0, 1) * 255)
            target = tile.of(picture.transpose(2, 0, 1), STRIDE)
            inner = tile.within(outer).of(pixels, STRIDE)
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
        grid = list(tiles.grid(h, w, header.tile))
        strings = strings_of(stream)
        z_hat = read_z(self._z, strings.z, self._channels["z"], h, w)
        plane = self._plane(stream, h, w)
        level = ((plane * LEVELS + QUALITY_STEPS // 2) // QUALITY_STEPS).astype(np.float32)
        known = _KnownLatent(self, self._features(z_hat, level, grid), level, self._channels["y"])
        return self._read_y(strings, known, grid)

    def _plane(self, stream: Bitstream, h: int, w: int) -> NDArray[np.int32]:
        """The quality of each latent in hundredths: (1, h, w)."""
        quality = stream.header.quality
        if stream.map and not self._below:
            raise BitstreamError("section map: this model has one quality per picture")
        found = levels.unpack(stream.map, quality, h, w)
        same = np.full((1, h, w), quality, np.int32)
        return same if found is None else found.hundredths[None]

    def _features(self, z_hat: NDArray[np.int16], level: Floats, grid: list[Tile]) -> Bytes:
        """What z says of each latent: (channels, h, w)."""
        (shape,), (h, w) = self._networks["features"].outputs.values(), grid[-1][2:]
        features = np.zeros((shape[1], h, w), np.uint8)
        for tile in grid:
            outer = tile.grown(h, w)
            own = _filled(outer.of(level), STEP)
            (found,) = self.run("features", outer.of(z_hat, 1 / STEP), level=own)
            tile.of(features)[:] = tile.within(outer).of(found)
        return features

    def _read_y(
        self, strings: Strings, known: "_KnownLatent", grid: list[Tile]
    ) -> NDArray[np.int16]:
        reader, (h, w) = self._y.reader(strings.y), grid[-1][2:]
        y_hat = np.zeros((self._channels["y"], h, w), np.int16)

        def code(means: Floats, rows: Bytes, number: int, tile: Tile) -> NDArray[np.int16]:
            return reader.read(rows.ravel()).reshape(rows.shape).clip(-Y_MAX, Y_MAX)

        for number, tile, value in walk(known, grid, code):
            _place(number, value, tile.of(y_hat))
        reader.end()
        return y_hat

    def run(self, name: str, first: NDArray[Any], **inputs: NDArray[Any]) -> list[Floats]:
        """A network's results; the first input and those of three axes get their batch axis."""
        network = self._networks[name]
        feed = {next(iter(network.inputs)): first} | inputs
        feed = {k: np.asarray(v[None] if v.ndim == 3 else v, np.float32) for k, v in feed.items()}
        return [result[0] for result in network.run(feed)]

    def _network(self, name: str) -> Session:
        """On the CPU: float32 of GPUs may be less, and then tables are not the encoder's."""
        # Six networks whose threads wait in a loop for work would keep all processors busy.
        return Session(self._folder / f"{name}.onnx", f"{name}.onnx", spin=False)


class _KnownLatent:
    """What is known of y while it is decoded."""

    def __init__(self, decoder: OnnxDecoder, features: Bytes, level: Floats, channels: int):
        self._decoder, self._features, self._level = decoder, features, level
        self._known = np.zeros((channels, *features.shape[1:]), np.int8)
        self._number, self._before = -1, self._known

    def parameters(self, number: int, tile: Tile) -> tuple[Bytes, Floats]:
        """See `vcm.codec.format.walk.Known`; what is beside the picture gets row 0."""
        if number != self._number:  # tiles do not see what this pass gives in others
            self._number, self._before = number, self._known.copy()
        outer = tile.grown(self._known.shape[1], self._known.shape[2], HALO)
        inputs = {"known": _even(outer.of(self._before))} if number else {}
        features = _even(outer.of(self._features))
        level = _filled(outer.of(self._level), 2)
        rows, means = self._decoder.run(f"pass_{number}", features, level=level, **inputs)
        inner = tile.within(outer)
        coded = _quarter(number, _even(np.ones_like(tile.of(self._known), np.uint8)))
        return inner.of(rows, 1 / 2).astype(np.uint8) * coded, inner.of(means, 1 / 2)

    def learn(self, number: int, tile: Tile, value: Floats) -> None:
        """See `vcm.codec.format.walk.Known`."""
        _place(number, _compand(value), tile.of(self._known))


def _even(t: NDArray[Any]) -> NDArray[Any]:
    """With a row or a column of zeros more where their number is odd."""
    return np.pad(t, ((0, 0), (0, t.shape[1] % 2), (0, t.shape[2] % 2)))


def _filled(t: NDArray[Any], unit: int) -> NDArray[Any]:
    """With sides that are multiples of a unit: what is beyond is as the nearest."""
    return np.pad(t, ((0, 0), (0, -t.shape[1] % unit), (0, -t.shape[2] % unit)), mode="edge")


def _quarter(number: int, t: NDArray[Any]) -> NDArray[Any]:
    """What a pass codes of (M, h, w): (M, h/2, w/2), place after place."""
    groups = t.reshape(-1, PASSES, *t.shape[1:])  # (M/4, group, h, w)
    return np.concatenate([groups[:, g, i::2, j::2] for g, i, j in places(number)])


def _place(number: int, part: NDArray[Any], target: NDArray[Any]) -> None:
    """Put what `_quarter` took where it came from; a target of an odd size gets what is inside."""
    for (g, i, j), values in zip(places(number), np.split(part, PASSES), strict=True):
        there = target[g::PASSES, i::2, j::2]
        there[:] = values[:, : there.shape[1], : there.shape[2]]


def _compand(v: Floats) -> Floats:
    """Integers in [-127, 127] that grow like the square root, which IEEE 754 makes exact."""
    root = np.sqrt(np.abs(v) + np.float32(16)) * np.float32(4) - np.float32(16)
    found: Floats = np.rint(root.clip(max=127)) * np.sign(v)
    return found
