"""Pictures to strings, tile by tile: memory grows with the latent, not with what g_a computes."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vcm.codec.api import MECHANISMS, Mechanism
from vcm.codec.format import cva, levels, tiles
from vcm.codec.format.constants import STEP, STRIDE, latent_size, z_size
from vcm.codec.format.control import Control
from vcm.codec.format.levels import LevelMap
from vcm.codec.format.strings import Strings
from vcm.codec.format.tables import SYMBOL_MAX
from vcm.codec.format.tiles import Tile
from vcm.codec.models.cva import of_latents, relative
from vcm.codec.models.loss import LMBDA
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.codec.nets.lma import TwoValues, grown, mask_level
from vcm.codec.nets.transforms import to_blocks
from vcm.codec.runtime.latent import Latent, LatentCoder, Unquantised
from vcm.codec.runtime.precision import Precision
from vcm.codec.runtime.search import NEAR, TRIES, quality_for
from vcm.codec.runtime.tiling import filled, tiled
from vcm.errors import BitstreamError, SpecError

SLACK = 1e-3  # how far values may lie outside [0, 1]: resizing may overshoot by rounding
ENDS = 4.0  # bytes added to the entropy for the ends of the two strings


class Analysed(NamedTuple):
    """A picture after g_a: computed once for all qualities.

    Attributes:
        y0: (1, M, h, w) float16.
        features: (1, n16, h, w) float16, of g_a.
        mask: (1, 2, 2h, 2w) float16, what LMA sees of the mask.
        values: (1, 1, h, w) float32 in (0, 1], of each latent; at most 16 different ones.
    """

    y0: Tensor
    features: Tensor
    mask: Tensor
    values: Tensor


UNITS = (1, 1, 2, 1)  # elements per latent, each way, of the fields of Analysed


class Encoder:
    """The encoding half of a codec; arguments x and m as for `Codec.compress`.

    Args:
        side: of the tiles in latents, 0 for none; None: by the picture's size.
        lmbda: of the loss that the model was trained with, at quality 0 and 100.
        mechanism: how masks take effect, see `Codec.load`.

    Raises:
        SpecError: if there is no such mechanism, or it needs a map and the model has none.
    """

    def __init__(
        self,
        model: RoiHyperprior,
        latents: LatentCoder,
        precision: Precision,
        side: int | None,
        lmbda: tuple[float, float] = LMBDA,
        mechanism: Mechanism | None = None,
    ):
        self.model, self.latents, self._precision = model, latents, precision
        self._side, self._lmbda, self.device = side, lmbda, precision.device
        usual: Mechanism = "both" if model.sizes.below else "lma"
        self._mechanism: Mechanism = mechanism or usual
        if self._mechanism not in MECHANISMS:
            raise SpecError(f"mechanism: expected both, map or lma, got {mechanism!r}")
        if self._mechanism != "lma" and not model.sizes.below:
            raise SpecError(
                f"mechanism {mechanism}: the model has no map; use lma, or leave it out"
            )

    def side(self, h: int, w: int) -> int:
        """Side of the tiles that a latent of (h, w) is coded in; 0: one tile.

        Raises:
            SpecError: if a side was given that does not work for this size.
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
        self, x: Tensor, m: Tensor | TwoValues, control: Control, effort: int = 0
    ) -> Strings:
        """The strings of a picture. Only y is held for the whole picture at once."""
        check(x, m)
        h, w = latent_size(*x.shape[2:])
        latents = self._values(m, h, w)
        control = self._mapped(latents, control)
        controls = self._controls(control)

        def y_of(outer: Tile) -> Tensor:
            return self._modulate(self._analyse(x, m, outer, latents), controls.part(outer))

        y = torch.empty(1, self.model.sizes.M, h, w, dtype=torch.float16, device=self.device)
        tiled(y_of, y, h, w, self.side(h, w), halo=self.model.sizes.analysis_reach)
        prepared = self._refined(self._prepared(y, controls), x, m, control, effort)
        return self._strings(prepared, control)

    @torch.inference_mode()
    def compress_to(
        self, x: Tensor, m: Tensor | TwoValues, size: int, header: int = 0, effort: int = 0
    ) -> tuple[float, Strings]:
        """The quality at which strings and header take about `size` bytes, and these strings.

        The quality is searched for with the entropy of the symbols as the size; then the real
        strings are made, and if they miss the size, the search is repeated with a corrected one.

        Raises:
            SpecError: if no quality gives that size.
        """
        analysed = self.analyse(x, m)

        def estimate(quality: float) -> float:
            control = self._mapped(analysed.values, Control(quality))
            bits = self.latents.bits(self.latents.quantise(self._at(analysed, control)))
            return bits / 8 + len(_section(control)) + ENDS + header

        found: dict[float, Strings] = {}  # by their quality
        wanted = float(size)
        for _ in range(TRIES):
            try:
                quality = quality_for(estimate, wanted)
            except SpecError:
                if not found:
                    raise
                break  # the corrected size is out of reach
            if quality in found:
                break
            control = self._mapped(analysed.values, Control(quality))
            prepared = self._refined(self._at(analysed, control), x, m, control, effort)
            found[quality] = self._strings(prepared, control)
            length = found[quality].length + header
            if abs(length / size - 1) < NEAR:
                break
            wanted *= size / length  # the estimate leaves out what effort saves
        return min(found.items(), key=lambda pair: abs(pair[1].length + header - size))

    @torch.inference_mode()
    def analyse(self, x: Tensor, m: Tensor | TwoValues) -> Analysed:
        """The part of encoding a picture that does not depend on the quality."""
        check(x, m)
        (h, w), s = latent_size(*x.shape[2:]), self.model.sizes
        shapes = (s.M, h, w), (s.analysis.n16, h, w), (2, 2 * h, 2 * w)
        latents = self._values(m, h, w)
        y0, features, mask = (
            torch.empty(1, *n, dtype=torch.float16, device=self.device) for n in shapes
        )
        out = Analysed(y0, features, mask, torch.empty_like(latents))
        for tile in tiles.grid(h, w, self.side(h, w)):
            outer = tile.grown(h, w, self.model.sizes.analysis_reach)
            found = self._analyse(x, m, outer, latents)
            for target, value, unit in zip(out, found, UNITS, strict=True):
                tile.of(target, unit).copy_(tile.within(outer).of(value, unit))
        return out

    @torch.inference_mode()
    def quantise(self, analysed: Analysed, control: Control) -> Latent:
        """The quantised latent of a picture, at the quality of a control."""
        return self.latents.quantise(self._at(analysed, self._mapped(analysed.values, control)))

    def _values(self, m: Tensor | TwoValues, h: int, w: int) -> Tensor:
        """The mask value of each latent: (1, 1, h, w) float32, at most 16 different ones."""
        out = torch.ones(1, 1, h, w, device=self.device)
        if self._mechanism == "lma":
            return out

        def values_of(outer: Tile) -> Tensor:
            return of_latents(self._filled(m, outer).float())

        found = tiled(values_of, out, h, w, self.side(h, w), halo=1)
        return torch.from_numpy(cva.grouped(found.cpu().numpy())).to(self.device)

    def _mapped(self, latents: Tensor, control: Control) -> Control:
        """The control with the map that follows from the values of latents."""
        values = latents[0, 0].cpu().numpy()
        plane = cva.qualities(control.hundredths, values, self._lmbda)
        uniform = (plane == control.hundredths).all()
        return control if uniform else replace(control, map=LevelMap.of(plane))

    def _strings(self, prepared: Unquantised, control: Control) -> Strings:
        return self.latents.encode(prepared)._replace(map=_section(control))

    def _at(self, analysed: Analysed, control: Control) -> Unquantised:
        """An analysed picture with a control applied."""
        controls, (h, w) = self._controls(control), analysed.y0.shape[2:]

        def y_of(outer: Tile) -> Tensor:
            parts = (outer.of(t, unit) for t, unit in zip(analysed, UNITS, strict=True))
            return self._modulate(Analysed(*parts), controls.part(outer))

        y = torch.empty_like(analysed.y0)
        tiled(y_of, y, h, w, self.side(h, w))
        return self._prepared(y, controls)

    def _refined(
        self, prepared: Unquantised, x: Tensor, m: Tensor | TwoValues, control: Control, effort: int
    ) -> Unquantised:
        """With a better y, if `effort` is not 0."""
        if not effort:
            return prepared
        from vcm.codec.runtime.effort import (  # imports compressai, which takes seconds
            Search,
            refined,
        )

        with torch.inference_mode(False):  # gradients flow through its tensors
            search = Search(self.model, self._precision, self._lmbda, control, effort)
        return refined(prepared, x, m, search)

    def _analyse(self, x: Tensor, m: Tensor | TwoValues, tile: Tile, latents: Tensor) -> Analysed:
        with self._precision.fast(tile.size[1]):
            y0, features = self.model.encoder.g_a(to_blocks(self._filled(x, tile)))
        own, seen = tile.of(latents), grown(self._filled(m, tile).float(), cva.MARGIN)
        seen = torch.ones_like(seen) if self._mechanism == "map" else relative(seen, own)
        return Analysed(y0.half(), features.half(), mask_level(seen).half(), own)

    def _filled(self, t: Tensor | TwoValues, tile: Tile) -> Tensor:
        return filled(t, tile, STRIDE).to(self.device)

    def _controls(self, control: Control) -> Controls:
        return Controls.single(control, self.device)

    def _modulate(self, a: Analysed, control: Controls) -> Tensor:
        with self._precision.fast(a.y0.shape[3]):
            y0, features, mask = a.y0.float(), a.features.float(), a.mask.float()
            y = self.model.encoder.modulate(y0, features, mask, control)
        return y.clamp(-SYMBOL_MAX, SYMBOL_MAX)

    def _prepared(self, y: Tensor, control: Controls) -> Unquantised:
        h, w = y.shape[2:]
        z_hat = torch.empty(1, self.model.sizes.Z, *z_size(h, w), device=self.device)

        def hyper(outer: Tile) -> Tensor:
            with self._precision.fast(outer.size[1]):
                return self.model.encoder.hyper(outer.of(y).float()).round()

        tiled(hyper, z_hat, h, w, self.side(h, w), 1 / STEP, tiles.HYPER_HALO)
        return Unquantised(y, z_hat, control, self.side(h, w))


def _section(control: Control) -> bytes:
    return b"" if control.map is None else levels.pack(control.map, control.hundredths)


def check(x: Tensor, m: Tensor | TwoValues) -> None:
    """Raises a SpecError if a picture or its mask is not as `Codec.compress` expects."""
    known = x.is_floating_point() or x.dtype == torch.uint8
    if x.ndim != 4 or x.shape[:2] != (1, 3) or 0 in x.shape or not known:
        raise SpecError(
            f"x: expected (1, 3, H, W) uint8 or floating point, got {tuple(x.shape)} {x.dtype}"
        )
    if x.is_floating_point() and not (x.min() >= -SLACK and x.max() <= 1 + SLACK):
        raise SpecError(
            f"x: expected numbers in [0, 1], got {float(x.min()):g} to {float(x.max()):g}; "
            f"divide by 255, or give uint8"
        )
    if m.shape != (1, 1, *x.shape[2:]):
        raise SpecError(f"m: expected (1, 1, {x.shape[2]}, {x.shape[3]}), got {tuple(m.shape)}")
    if isinstance(m, Tensor) and not (float(m.min()) > 0 and float(m.max()) <= 1):
        raise SpecError(f"m: expected values in (0, 1], got {float(m.min())} to {float(m.max())}")
    if not isinstance(m, Tensor) and not 0 < m.sigma <= 1:
        raise SpecError(f"m: expected sigma in (0, 1], got {m.sigma}")
