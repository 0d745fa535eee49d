"""Pictures to strings and back: the networks and the latent coder put together."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.codec import tiles
from vcm.codec.coder import SYMBOL_MAX
from vcm.codec.entropy import MEAN_UNIT
from vcm.codec.latent import Latent, LatentCoder, Prepared, Strings, z_size
from vcm.codec.lma import mask_level
from vcm.codec.model import QUALITY_STEPS, STRIDE, Quality
from vcm.codec.search import quality_for
from vcm.codec.tiles import Tile
from vcm.codec.weights import DEFAULT, Weights, load
from vcm.errors import SpecError

ENDS = 4.0  # bytes by which two strings of whole words exceed their entropy, on average


class Analysed(NamedTuple):
    """A picture after g_a: whatever its quality will be, this is computed once.

    Attributes:
        y0: (1, M, h, w) float16.
        features: (1, n16, h, w) float16.
        level: (1, 2, 2h, 2w) float32, what LMA sees of the mask.
    """

    y0: Tensor
    features: Tensor
    level: Tensor


class Codec:
    """A trained model: every text, mask, sigma and quality.

    Args:
        side: of the tiles in latents, 0 for none; None: by the picture's size. Pictures and
            latents do not depend on it, memory and the order of symbols in the file do.
        bf16: whether g_a, h_a and g_s run in bfloat16, within one level of 255 of float32; None:
            where the processor has instructions for it. What decodes symbols is exact either way.

    Example:
        >>> import torch
        >>> codec = Codec.load()
        >>> x = torch.rand(1, 3, 40, 50)
        >>> strings = codec.compress(x, torch.ones(1, 1, 40, 50), quality=50)
        >>> codec.decompress(strings, 40, 50, quality=50).shape
        torch.Size([1, 3, 40, 50])
    """

    def __init__(self, weights: Weights, side: int | None = None, bf16: bool | None = None):
        self.model = weights.model
        self._side = side
        self._bf16 = has_bf16() if bf16 is None else bf16
        self.fingerprint = weights.fingerprint
        self.card = weights.card
        self.latents = LatentCoder(weights.model, weights.tables)

    def side(self, h: int, w: int) -> int:
        """Side of the tiles that a latent of (h, w) is worked on in; 0: one tile."""
        return tiles.side_for(h, w) if self._side is None else self._side

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
            x: (1, 3, H, W) uint8, or floating point in [0, 1]; RGB, any size.
            m: (1, 1, H, W) floating point in (0, 1], mask values: 1 inside, sigma outside.
            quality: 0 (fewest bits) to 100; two decimals are kept.

        Raises:
            SpecError: if a shape or a value is not as above.
        """
        prepared = self.prepare(self.analyse(x, m), quality)
        return self.latents.write(self.latents.quantise(prepared))

    def decompress(
        self, strings: Strings, height: int, width: int, quality: float, side: int | None = None
    ) -> Tensor:
        """x_hat: (1, 3, height, width) uint8, RGB, channels last in memory.

        Args:
            side: of the tiles in latents, from the file's header; None: as `compress` has it.

        Raises:
            BitstreamError: if the strings cannot be of such a picture.
        """
        h, w = latent_size(height, width)
        y_hat = self.read(strings, h, w, quality, self.side(h, w) if side is None else side)
        return self.render(y_hat, height, width, quality)

    @torch.inference_mode()
    def analyse(self, x: Tensor, m: Tensor) -> Analysed:
        """What every quality of a picture begins with; arguments as for `compress`."""
        _check(x, m)
        h, w = latent_size(*x.shape[2:])
        s = self.model.sizes
        out = Analysed(
            torch.empty(1, s.M, h, w, dtype=torch.float16),
            torch.empty(1, s.n16, h, w, dtype=torch.float16),
            torch.empty(1, 2, 2 * h, 2 * w),
        )
        for tile in tiles.grid(h, w, self.side(h, w)):
            outer = tile.grown(h, w)
            part = _pixels(x, outer).contiguous(memory_format=torch.channels_last)
            with self._fast():
                y0, features = self.model.g_a(part)
            level = mask_level(_pixels(m, outer))
            for target, value, unit in zip(out, (y0, features, level), (1, 1, 2), strict=True):
                tile.of(target, unit).copy_(tile.within(outer).of(value, unit))
        return out

    def quality_for(self, x: Tensor, m: Tensor, size: float) -> float:
        """The quality at which the strings of a picture measure `size` bytes.

        It is searched on the entropy of the symbols, with g_a run once.

        Raises:
            SpecError: if no quality gives such a size.
        """
        analysed = self.analyse(x, m)

        def estimate(quality: float) -> float:
            return self.latents.bits(self.quantise(analysed, quality)) / 8 + ENDS

        return quality_for(estimate, size)

    @torch.inference_mode()
    def quantise(self, analysed: Analysed, quality: float) -> Latent:
        """The quantised latent of a picture at a quality from 0 to 100."""
        return self.latents.quantise(self.prepare(analysed, quality))

    @torch.inference_mode()
    def prepare(self, analysed: Analysed, quality: float) -> Prepared:
        """A picture's latents at a quality from 0 to 100: LMA, gain and h_a."""
        q, (h, w) = _quality(quality), analysed.y0.shape[2:]
        y = torch.empty_like(analysed.y0)
        z_hat = torch.empty(1, self.model.sizes.Z, *z_size(h, w))

        def modulate(tile: Tile) -> Tensor:
            parts = zip(analysed, (1, 1, 2), strict=True)
            y0, features, level = (tile.of(t, unit).float() for t, unit in parts)
            return self.model.modulate(y0, features, level, q).clamp(-SYMBOL_MAX, SYMBOL_MAX)

        def hyper(tile: Tile) -> Tensor:
            return self.model.hyper(tile.of(y).float()).round()

        with self._fast():
            tiles.tiled(modulate, y, h, w, self.side(h, w))
            tiles.tiled(hyper, z_hat, h, w, self.side(h, w), unit=1 / tiles.STEP)
        return Prepared(y, z_hat, q, self.side(h, w))

    @torch.inference_mode()
    def read(self, strings: Strings, h: int, w: int, quality: float, side: int) -> Tensor:
        """y_hat: (1, M, h, w) int16 in sixteenths of a step, equal to the encoder's.

        Raises:
            BitstreamError: if the strings cannot be of such a latent.
        """
        return self.latents.read(strings, h, w, _quality(quality), side)

    @torch.inference_mode()
    def render(self, y_hat: Tensor, height: int, width: int, quality: float) -> Tensor:
        """x_hat: (1, 3, height, width) uint8, channels last, from `read`'s latent."""
        q, (h, w) = _quality(quality), y_hat.shape[2:]
        x_hat = torch.empty((1, 3, height, width), dtype=torch.uint8)
        x_hat = x_hat.contiguous(memory_format=torch.channels_last)
        for tile in tiles.grid(h, w, self.side(h, w)):
            outer = tile.grown(h, w)
            part = outer.of(y_hat).float() / MEAN_UNIT
            with self._fast():
                part = self.model.synthesise(part.contiguous(memory_format=torch.channels_last), q)
            target = tile.of(x_hat, STRIDE)
            value = tile.within(outer).of(part, STRIDE)[..., : target.shape[2], : target.shape[3]]
            target.copy_((value.nan_to_num() * 255).clamp(0, 255).round())
        return x_hat

    def _fast(self) -> torch.autocast:
        """Where bfloat16 may be used: never around what must be exact."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self._bf16)


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    try:
        known = torch.cpu.get_capabilities()
    except AttributeError:  # torch before 2.10
        return False
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def latent_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) of the latent of a picture."""
    return -(-height // STRIDE), -(-width // STRIDE)


def _pixels(t: Tensor, tile: Tile) -> Tensor:
    """A tile of a picture as float32, its last row and column repeated where it ends early."""
    part = tile.of(t, STRIDE)
    part = part.float() / 255 if part.dtype == torch.uint8 else part.float()
    missing = (
        STRIDE * (tile.right - tile.left) - part.shape[3],
        STRIDE * (tile.bottom - tile.top) - part.shape[2],
    )
    return F.pad(part, (0, missing[0], 0, missing[1]), mode="replicate")


def _quality(quality: float) -> Quality:
    if not 0 <= quality <= 100:
        raise SpecError(f"quality: expected a number from 0 to 100, got {quality}")
    return Quality.of(torch.tensor([round(quality * QUALITY_STEPS / 100)]))


def _check(x: Tensor, m: Tensor) -> None:
    known = x.is_floating_point() or x.dtype == torch.uint8
    if x.ndim != 4 or x.shape[:2] != (1, 3) or 0 in x.shape or not known:
        raise SpecError(
            f"x: expected (1, 3, H, W) uint8 or floating point, got {tuple(x.shape)} {x.dtype}"
        )
    if m.shape != (1, 1, *x.shape[2:]):
        raise SpecError(f"m: expected (1, 1, {x.shape[2]}, {x.shape[3]}), got {tuple(m.shape)}")
    if not (float(m.min()) > 0 and float(m.max()) <= 1):
        raise SpecError(f"m: expected values in (0, 1], got {float(m.min())} to {float(m.max())}")
