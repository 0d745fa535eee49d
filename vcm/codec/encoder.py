"""Pictures to strings, tile by tile: memory grows with the latent, not with what g_a computes."""

from typing import NamedTuple

import torch
from torch import Tensor

from vcm.codec import tiles
from vcm.codec.coder import SYMBOL_MAX
from vcm.codec.latent import Latent, LatentCoder, Prepared, Strings, z_size
from vcm.codec.lma import TwoValues, mask_level
from vcm.codec.model import STRIDE, Quality, RoiHyperprior, hundredths_of, latent_size
from vcm.codec.precision import Precision
from vcm.codec.search import quality_for
from vcm.codec.tiles import Tile
from vcm.codec.transforms import to_blocks
from vcm.errors import BitstreamError, SpecError

# Latents reach over the mask's edge. Two pixels more of it cost 5 % of the bytes at small sigma and
# keep the ROI within 0.3 dB of sigma = 1 on 19 of 20 photos, not 4 of 5 (experiments/LOG.md).
MARGIN = 2
ENDS = 4.0  # bytes by which two strings of whole words exceed their entropy, on average


class Analysed(NamedTuple):
    """A picture after g_a: whatever its quality will be, this is computed once.

    Attributes:
        y0: (1, M, h, w) float16.
        features: (1, n16, h, w) float16, of g_a.
        level: (1, 2, 2h, 2w) float16, what LMA sees of the mask.
    """

    y0: Tensor
    features: Tensor
    level: Tensor


UNITS = (1, 1, 2)  # elements of Analysed per latent, each way


class Encoder:
    """What a codec does to encode; arguments x, m and quality as for `Codec.compress`.

    Args:
        side: of the tiles in latents, 0 for none; None: by the picture's size.
    """

    def __init__(
        self, model: RoiHyperprior, latents: LatentCoder, precision: Precision, side: int | None
    ):
        self.model, self.latents, self._precision = model, latents, precision
        self._side = side

    def side(self, h: int, w: int) -> int:
        """Side of the tiles that a latent of (h, w) is coded in; 0: one tile.

        Raises:
            SpecError: if it was given and such a picture cannot be coded so.
        """
        if self._side is None:
            return tiles.side_for(h, w)
        try:
            tiles.check_side(self._side, h, w)
        except BitstreamError as error:
            raise SpecError(str(error)) from error
        return self._side

    @torch.inference_mode()
    def compress(
        self, x: Tensor, m: Tensor | TwoValues, quality: float, effort: int = 0
    ) -> Strings:
        """The strings of a picture. Nothing but y is kept of it."""
        check(x, m)
        q, (h, w) = Quality.single(quality), latent_size(*x.shape[2:])

        def y_of(outer: Tile) -> Tensor:
            return self._modulate(self._analyse(x, m, outer), q)

        y = torch.empty(1, self.model.sizes.M, h, w, dtype=torch.float16)
        tiles.tiled(y_of, y, h, w, self.side(h, w), halo=self.model.sizes.analysis_reach)
        prepared = self._prepared(y, q)
        if effort:
            from vcm.codec.effort import refined  # it needs compressai, which takes seconds

            steps = hundredths_of(quality)
            prepared = refined(self.model, self._precision, prepared, x, m, steps, effort)
        return self.latents.encode(prepared)

    @torch.inference_mode()
    def analyse(self, x: Tensor, m: Tensor | TwoValues) -> Analysed:
        """What every quality of a picture begins with."""
        check(x, m)
        (h, w), s = latent_size(*x.shape[2:]), self.model.sizes
        out = Analysed(
            torch.empty(1, s.M, h, w, dtype=torch.float16),
            torch.empty(1, s.analysis.n16, h, w, dtype=torch.float16),
            torch.empty(1, 2, 2 * h, 2 * w, dtype=torch.float16),
        )
        for tile in tiles.grid(h, w, self.side(h, w)):
            outer = tile.grown(h, w, self.model.sizes.analysis_reach)
            for target, value, unit in zip(out, self._analyse(x, m, outer), UNITS, strict=True):
                tile.of(target, unit).copy_(tile.within(outer).of(value, unit))
        return out

    @torch.inference_mode()
    def quantise(self, analysed: Analysed, quality: float) -> Latent:
        """The quantised latent of a picture."""
        q, (h, w) = Quality.single(quality), analysed.y0.shape[2:]

        def y_of(outer: Tile) -> Tensor:
            parts = (outer.of(t, unit) for t, unit in zip(analysed, UNITS, strict=True))
            return self._modulate(Analysed(*parts), q)

        y = torch.empty_like(analysed.y0)
        tiles.tiled(y_of, y, h, w, self.side(h, w))
        return self.latents.quantise(self._prepared(y, q))

    def quality_for(self, x: Tensor, m: Tensor | TwoValues, size: float, header: int = 0) -> float:
        """The quality at which the strings of a picture and a header measure `size` bytes.

        It is searched on the entropy of the symbols, with g_a run once.

        Raises:
            SpecError: if no quality gives such a size.
        """
        analysed = self.analyse(x, m)

        def estimate(quality: float) -> float:
            return self.latents.bits(self.quantise(analysed, quality)) / 8 + ENDS + header

        return quality_for(estimate, size)

    def _analyse(self, x: Tensor, m: Tensor | TwoValues, tile: Tile) -> Analysed:
        with self._precision.fast(tile.size[1]):
            y0, features = self.model.g_a(to_blocks(tiles.filled(x, tile, STRIDE)))
        level = mask_level(tiles.filled(m, tile, STRIDE).float(), MARGIN)
        return Analysed(y0.half(), features.half(), level.half())

    def _modulate(self, a: Analysed, quality: Quality) -> Tensor:
        with self._precision.fast(a.y0.shape[3]):
            y0, features, level = (t.float() for t in a)
            y = self.model.modulate(y0, features, level, quality)
        return y.clamp(-SYMBOL_MAX, SYMBOL_MAX)

    def _prepared(self, y: Tensor, quality: Quality) -> Prepared:
        h, w = y.shape[2:]
        z_hat = torch.empty(1, self.model.sizes.Z, *z_size(h, w))

        def hyper(outer: Tile) -> Tensor:
            with self._precision.fast(outer.size[1]):
                return self.model.hyper(outer.of(y).float()).round()

        tiles.tiled(hyper, z_hat, h, w, self.side(h, w), 1 / tiles.STEP, tiles.HYPER_HALO)
        return Prepared(y, z_hat, quality, self.side(h, w))


def check(x: Tensor, m: Tensor | TwoValues) -> None:
    """Raises a SpecError if a picture or its mask is not as `Codec.compress` wants it."""
    known = x.is_floating_point() or x.dtype == torch.uint8
    if x.ndim != 4 or x.shape[:2] != (1, 3) or 0 in x.shape or not known:
        raise SpecError(
            f"x: expected (1, 3, H, W) uint8 or floating point, got {tuple(x.shape)} {x.dtype}"
        )
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise SpecError("x: expected numbers in [0, 1], got some that are none")
    if m.shape != (1, 1, *x.shape[2:]):
        raise SpecError(f"m: expected (1, 1, {x.shape[2]}, {x.shape[3]}), got {tuple(m.shape)}")
    if isinstance(m, Tensor) and not (float(m.min()) > 0 and float(m.max()) <= 1):
        raise SpecError(f"m: expected values in (0, 1], got {float(m.min())} to {float(m.max())}")
    if not isinstance(m, Tensor) and not 0 < m.sigma <= 1:
        raise SpecError(f"m: expected sigma in (0, 1], got {m.sigma}")
