"""Pictures to strings and back: the networks, the tables and the coder put together."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vcm.codec.coder import SYMBOL_MAX, Coder, Reader
from vcm.codec.entropy import Parameters, checkerboard
from vcm.codec.model import QUALITY_STEPS, STRIDE, Quality
from vcm.codec.weights import DEFAULT, Weights, load
from vcm.errors import SpecError

Part = tuple[NDArray[np.int32], NDArray[np.int32]]  # symbols and the table rows that code them


class Strings(NamedTuple):
    """A coded picture: the bytes of z and of y."""

    z: bytes
    y: bytes


class Analysed(NamedTuple):
    """A picture after g_a: whatever its quality will be, this is computed once.

    Attributes:
        y0: (1, M, h, w) float32.
        features: (1, n16, h, w) float32.
        m: (1, 1, 16h, 16w) float32.
    """

    y0: Tensor
    features: Tensor
    m: Tensor


class Latent(NamedTuple):
    """A quantised picture, before its bytes.

    Attributes:
        y_hat: (1, M, h, w) float32, exactly what the decoder gets.
        z_part, y_parts: symbols in coding order.
    """

    y_hat: Tensor
    z_part: Part
    y_parts: list[Part]


class Codec:
    """A trained model: every text, mask, sigma and quality.

    Example:
        >>> import torch
        >>> codec = Codec.load()
        >>> x = torch.rand(1, 3, 40, 50)
        >>> strings = codec.compress(x, torch.ones(1, 1, 40, 50), quality=50)
        >>> codec.decompress(strings, 40, 50, quality=50).shape
        torch.Size([1, 3, 40, 50])
    """

    def __init__(self, weights: Weights):
        self.model = weights.model
        self.fingerprint = weights.fingerprint
        self.card = weights.card
        self._coders = {name: Coder(table) for name, table in weights.tables.items()}

    @classmethod
    def load(cls, name_or_path: str | Path = DEFAULT) -> "Codec":
        """The codec of a built-in model's name or of a weight file.

        Raises:
            ModelError: if there is no such model or its file is damaged.
        """
        return cls(load(name_or_path))

    def compress(self, x: Tensor, m: Tensor, quality: float) -> Strings:
        """The strings of a picture.

        Args:
            x: (1, 3, H, W) float32 in [0, 1], RGB, any size.
            m: (1, 1, H, W) float32 in (0, 1], mask value of each pixel: 1 inside, sigma outside.
            quality: 0 (fewest bits) to 100; two decimals are kept.

        Raises:
            SpecError: if a shape or a value is not as above.
        """
        return self.write(self.quantise(self.analyse(x, m), quality))

    def decompress(self, strings: Strings, height: int, width: int, quality: float) -> Tensor:
        """x_hat: (1, 3, height, width) float32 in [0, 1], RGB.

        Raises:
            BitstreamError: if the strings cannot be of such a picture.
        """
        size = (-(-height // STRIDE), -(-width // STRIDE))
        return self.render(self.read(strings, size, quality), height, width, quality)

    def bits(self, latent: Latent) -> float:
        """The entropy of a latent by the coding tables: what its strings should measure."""
        y_bits = sum(self._coders["y"].bits(*part) for part in latent.y_parts)
        return self._coders["z"].bits(*latent.z_part) + y_bits

    @torch.inference_mode()
    def analyse(self, x: Tensor, m: Tensor) -> Analysed:
        """What every quality of a picture begins with; arguments as for `compress`."""
        _check(x, m)
        pad = (0, -x.shape[-1] % STRIDE, 0, -x.shape[-2] % STRIDE)
        x, m = (F.pad(t, pad, mode="replicate") for t in (x, m))
        y0, features = self.model.g_a(x.contiguous(memory_format=torch.channels_last))
        return Analysed(y0, features, m)

    @torch.inference_mode()
    def quantise(self, analysed: Analysed, quality: float) -> Latent:
        """The quantised latent of a picture at a quality from 0 to 100."""
        q = _quality(quality)
        y = self.model.modulate(*analysed, q).contiguous()
        z_hat = self.model.hyper(y).round()
        features = self.model.parameters_y.features(z_hat, q.level, y.shape[-2:])
        anchor = checkerboard(y)
        first = self.model.parameters_y.anchors(features, q.level)
        y_hat, part_1 = _quantise(y, first, anchor)
        second = self.model.parameters_y.others(features, q.level, y_hat)
        y_rest, part_2 = _quantise(y, second, ~anchor)
        return Latent(y_hat + y_rest, (_ints(z_hat), _z_rows(z_hat.shape)), [part_1, part_2])

    def write(self, latent: Latent) -> Strings:
        """The strings of a quantised latent."""
        z = self._coders["z"].encode([latent.z_part])
        return Strings(z, self._coders["y"].encode(latent.y_parts))

    @torch.inference_mode()
    def read(self, strings: Strings, size: tuple[int, int], quality: float) -> Tensor:
        """y_hat: (1, M, h, w) float32, equal to the encoder's; `size` is (h, w)."""
        q, sizes = _quality(quality), self.model.sizes
        z_shape = (1, sizes.Z, -(-size[0] // 4), -(-size[1] // 4))
        z_rows = _z_rows(z_shape)
        z_symbols = self._coders["z"].reader(strings.z).read(z_rows)
        z_hat = torch.from_numpy(z_symbols).reshape(z_shape).float()
        reader = self._coders["y"].reader(strings.y)
        features = self.model.parameters_y.features(z_hat, q.level, size)
        anchor = checkerboard(features)
        y_hat = _dequantise(reader, self.model.parameters_y.anchors(features, q.level), anchor)
        second = self.model.parameters_y.others(features, q.level, y_hat)
        return y_hat + _dequantise(reader, second, ~anchor)

    @torch.inference_mode()
    def render(self, y_hat: Tensor, height: int, width: int, quality: float) -> Tensor:
        """x_hat: (1, 3, height, width) float32 in [0, 1], from the quantised latent."""
        y_hat = y_hat.contiguous(memory_format=torch.channels_last)
        x_hat = self.model.synthesise(y_hat, _quality(quality))
        return x_hat[..., :height, :width].clamp(0, 1).nan_to_num_()


def _quantise(y: Tensor, p: Parameters, where: Tensor) -> tuple[Tensor, Part]:
    """y_hat at `where`, 0 elsewhere, and the symbols in coding order."""
    coded = (p.rows > 0) & where
    symbols = (y - p.means).round().clamp(-SYMBOL_MAX, SYMBOL_MAX) * coded
    return (symbols + p.means) * where, (_ints(symbols[coded]), _ints(p.rows[coded]))


def _dequantise(reader: Reader, p: Parameters, where: Tensor) -> Tensor:
    """y_hat at `where`, 0 elsewhere; the inverse of `_quantise`."""
    coded = (p.rows > 0) & where
    symbols = torch.zeros_like(p.means)
    symbols[coded] = torch.from_numpy(reader.read(_ints(p.rows[coded]))).float()
    return (symbols + p.means) * where


def _z_rows(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Table row of each z symbol, its channel: (Z * h * w,) int32."""
    return np.repeat(np.arange(shape[1], dtype=np.int32), shape[2] * shape[3])


def _ints(t: Tensor) -> NDArray[np.int32]:
    return t.flatten().to(torch.int32).numpy()


def _quality(quality: float) -> Quality:
    if not 0 <= quality <= 100:
        raise SpecError(f"quality: expected a number from 0 to 100, got {quality}")
    return Quality.of(torch.tensor([round(quality * QUALITY_STEPS / 100)]))


def _check(x: Tensor, m: Tensor) -> None:
    if x.ndim != 4 or x.shape[:2] != (1, 3) or 0 in x.shape or not x.is_floating_point():
        raise SpecError(f"x: expected (1, 3, H, W) floating point, got {tuple(x.shape)} {x.dtype}")
    if m.shape != (1, 1, *x.shape[2:]):
        raise SpecError(f"m: expected (1, 1, {x.shape[2]}, {x.shape[3]}), got {tuple(m.shape)}")
    if not (float(m.min()) > 0 and float(m.max()) <= 1):
        raise SpecError(f"m: expected values in (0, 1], got {float(m.min())} to {float(m.max())}")
