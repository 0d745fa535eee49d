"""A decoder without torch: the networks of `vcm export` by onnxruntime, the rest by numpy.

Written after docs/bitstream.md, section 3, whose letters it uses; an example for decoders in other
languages. Arrays have no batch axis; h and w are the rows and columns of the latent.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm import bitstream
from vcm.bitstream import Bitstream
from vcm.codec.format import tiles
from vcm.codec.format.coder import Coder
from vcm.codec.format.tiles import STEP, Tile
from vcm.errors import MissingExtra, ModelError

FORMAT: Final = "vcm-onnx-1"
FACTS: Final = "codec.json"
ORDER: Final = (0, 3, 1, 2)  # O[i]: pass i codes group g at position g ^ O[i] of each 2x2 square
MEAN_UNIT: Final = 16  # means are in sixteenths
SYMBOL_MAX: Final = {"z": 15, "y": 2_000}
Y_HAT_MAX: Final = 2**15 - 1  # sixteenths
STRIDE: Final = 16  # pixels per latent, each way
HALO: Final = 2  # latents that the context reaches, at least, in whole squares

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]


class _Tables(NamedTuple):
    cdf: NDArray[np.int32]
    length: NDArray[np.int32]
    offset: NDArray[np.int32]


class OnnxDecoder:
    """Reads the files of one model.

    Args:
        folder: what `vcm export` wrote.

    Raises:
        ModelError: if it is no such folder, or a file in it is damaged.
        MissingExtra: if onnxruntime is not installed.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder)
        try:
            facts = json.loads((self._folder / FACTS).read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"expected the format {FORMAT}, got {facts['format']}")
            self.fingerprint: Final = bytes.fromhex(facts["fingerprint"])
            self._channels: dict[str, int] = facts["channels"]
            tables = {name: _tables(**rows) for name, rows in facts["tables"].items()}
            self._z, self._y = Coder(tables["z"]), Coder(tables["y"], silent=1)
            self._networks = {n: self._network(n) for n in facts["networks"]["decoder"]}
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{str(folder)!r} is not what `vcm export` writes ({error}); export it again"
            ) from error

    def decode(self, data: bytes) -> Image:
        """The picture of a .vcm file: (H, W, 3) uint8, RGB; within 1 of 255 of torch's.

        Raises:
            BitstreamError: if the file is damaged or foreign.
            ModelError: if it was written with other weights.
        """
        header = bitstream.unpack(data).header
        y_hat = self.latent(data)
        h, w = y_hat.shape[1:]
        quality = np.array([header.quality / 10_000], np.float32)
        picture = np.empty((header.height, header.width, 3), np.uint8)
        for tile in tiles.grid(h, w, tiles.side_for(h, w)):
            outer = tile.grown(h, w)
            part = outer.of(y_hat).astype(np.float32) / MEAN_UNIT
            (x_hat,) = self._run("synthesis", part, quality=quality)
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
        stream = bitstream.unpack(data)
        header = stream.header
        if header.fingerprint != self.fingerprint:
            raise ModelError(
                f"the file was made with the model {header.fingerprint.hex()}, the exported one "
                f"is {self.fingerprint.hex()}; export the weights that made the file"
            )
        h, w = (-(-side // STRIDE) for side in (header.height, header.width))
        tiles.check_side(header.tile, h, w)
        grid = list(tiles.grid(h, w, header.tile))
        level = np.array([(header.quality * 255 + 5_000) // 10_000], np.float32)
        features = self._features(self._read_z(stream, h, w), level, grid, h, w)
        return self._read_y(stream, features, level, grid)

    def _read_z(self, stream: Bitstream, h: int, w: int) -> Floats:
        shape = (self._channels["z"], -(-h // STEP), -(-w // STEP))
        reader = self._z.reader(stream.z)
        reader.check_room(shape[1] * shape[2])
        rows = np.repeat(np.arange(shape[0], dtype=np.uint8), shape[1] * shape[2])
        z = reader.read(rows).reshape(shape)
        reader.end()
        return z.clip(-SYMBOL_MAX["z"], SYMBOL_MAX["z"]).astype(np.float32)

    def _features(
        self, z_hat: Floats, level: Floats, grid: list[Tile], h: int, w: int
    ) -> NDArray[np.uint8]:
        """What z says of each latent; with a row or column more where their number is odd."""
        channels = self._networks["features"].get_outputs()[0].shape[1]
        features = np.zeros((channels, h + h % 2, w + w % 2), np.uint8)
        for tile in grid:
            outer = tile.grown(h, w)
            (found,) = self._run("features", outer.of(z_hat, 1 / STEP), level=level)
            tile.of(features)[:] = tile.within(outer).of(found)
        return features

    def _read_y(
        self, stream: Bitstream, features: NDArray[np.uint8], level: Floats, grid: list[Tile]
    ) -> NDArray[np.int16]:
        reader, (h, w), limit = self._y.reader(stream.y), grid[-1][2:], SYMBOL_MAX["y"]
        y_hat = np.zeros((self._channels["y"], *features.shape[1:]), np.int16)
        known, inside = np.zeros(y_hat.shape, np.int8), np.zeros(y_hat.shape, np.bool_)
        inside[:, :h, :w] = True
        for number in range(len(ORDER)):
            before = known.copy()  # tiles do not see what this pass gives in others
            for tile in map(_even, grid):
                rows, means = self._parameters(number, features, level, before, tile)
                coded = _quarter(number, tile.of(inside))
                rows = rows * coded
                symbols = reader.read(rows.ravel()).reshape(rows.shape).clip(-limit, limit)
                value = ((symbols + means) * MEAN_UNIT).clip(-Y_HAT_MAX, Y_HAT_MAX) * coded
                _place(number, value, tile.of(y_hat))
                _place(number, _compand(value), tile.of(known))
        reader.end()
        return y_hat[:, :h, :w]

    def _parameters(
        self,
        number: int,
        features: NDArray[np.uint8],
        level: Floats,
        known: NDArray[np.int8],
        tile: Tile,
    ) -> tuple[NDArray[np.uint8], Floats]:
        """Table rows and means of a tile in a pass, (M, h/2, w/2)."""
        outer = tile.grown(features.shape[1], features.shape[2], HALO)
        inputs = {"known": outer.of(known)} if number else {}
        rows, means = self._run(f"pass_{number}", outer.of(features), level=level, **inputs)
        inner = tile.within(outer)
        return inner.of(rows, 1 / 2).astype(np.uint8), inner.of(means, 1 / 2)

    def _run(self, name: str, first: NDArray[Any], **inputs: NDArray[Any]) -> list[Floats]:
        """A network's results; the first input and those of three axes get their batch axis."""
        network = self._networks[name]
        feed = {network.get_inputs()[0].name: first} | inputs
        feed = {
            k: np.ascontiguousarray(v[None] if v.ndim == 3 else v, np.float32)
            for k, v in feed.items()
        }
        return [result[0] for result in network.run(None, feed)]

    def _network(self, name: str) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra("onnxruntime", "onnx") from error
        path, options = str(self._folder / f"{name}.onnx"), onnxruntime.SessionOptions()
        # Six networks whose threads wait in a loop for work would keep all processors busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:  # on the CPU: float32 of GPUs may be less, and then tables are not the encoder's
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's have no common base
            raise ValueError(f"{name}.onnx: {' '.join(str(error).split())[:200]}") from error


def _tables(cdf: list[list[int]], offset: list[int]) -> _Tables:
    length = np.array([len(row) for row in cdf], np.int32)
    padded = np.zeros((len(cdf), length.max()), np.int32)
    for target, row in zip(padded, cdf, strict=True):
        target[: len(row)] = row
    return _Tables(padded, length, np.array(offset, np.int32))


def _even(tile: Tile) -> Tile:
    """The tile in whole 2x2 squares: at the border of the picture it may end in one."""
    return Tile(*tile[:2], *(edge + edge % 2 for edge in tile[2:]))


def _places(number: int) -> Iterator[tuple[int, int, int]]:
    """Channel group, row and column in the square, of the four places of a pass."""
    for position in range(len(ORDER)):
        yield position ^ ORDER[number], position // 2, position % 2


def _groups(t: NDArray[Any]) -> NDArray[Any]:
    return t.reshape(-1, len(ORDER), *t.shape[1:])  # (M/4, group, h, w)


def _quarter(number: int, t: NDArray[Any]) -> NDArray[Any]:
    """What a pass codes of (M, h, w): (M, h/2, w/2), place after place."""
    return np.concatenate([_groups(t)[:, g, i::2, j::2] for g, i, j in _places(number)])


def _place(number: int, part: NDArray[Any], target: NDArray[Any]) -> None:
    """Put what `_quarter` took where it came from."""
    count = len(target) // len(ORDER)
    for k, (g, i, j) in enumerate(_places(number)):
        target[g :: len(ORDER), i::2, j::2] = part[k * count : (k + 1) * count]


def _compand(v: Floats) -> Floats:
    """Integers in [-127, 127] that grow like the square root, which IEEE 754 makes exact."""
    root = np.sqrt(np.abs(v) + np.float32(16)) * np.float32(4) - np.float32(16)
    found: Floats = np.rint(root.clip(max=127)) * np.sign(v)
    return found
