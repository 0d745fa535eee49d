"""The codec: one model for every text, mask, sigma and rate."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcm.codec.format import tiles
from vcm.codec.nets.entropy import (
    MEAN_UNIT,
    PASSES,
    Z_MAX,
    EntropyParameters,
    Parameters,
    quarter,
    spread,
)
from vcm.codec.nets.gain import Gain
from vcm.codec.nets.integer import compand, round_ste
from vcm.codec.nets.lma import LatentMaskAttention, mask_level
from vcm.codec.nets.transforms import (
    Analysis,
    HyperAnalysis,
    Synthesis,
    Widths,
    from_blocks,
    to_blocks,
)
from vcm.errors import SpecError

STRIDE = 16  # pixels per latent, each way
QUALITY_STEPS = 10_000  # quality 0 ... 100 is stored in hundredths


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of the networks; stored with the weights, so a checkpoint needs no config.

    Attributes:
        M: channels of y.
        Z: channels of z.
        analysis, synthesis: of g_a, and of g_s, which costs every decoder.
        hyper: channels of h_a.
        width, context, hidden: channels of the entropy parameter networks.
    """

    M: int = 320
    Z: int = 64
    analysis: Widths = Widths(n8=96, n16=192, blocks8=3, blocks16=2)
    synthesis: Widths = Widths(n8=96, n16=192, blocks8=3, blocks16=2)
    hyper: int = 192
    width: int = 192
    context: int = 128
    hidden: int = 256

    def __post_init__(self) -> None:
        reach = max(self.analysis_reach, self.synthesis_reach)
        if reach > tiles.HALO:
            raise SpecError(
                f"blocks8, blocks16: the networks reach {reach} latents, tiles overlap by at most "
                f"{tiles.HALO}; take fewer blocks"
            )

    @property
    def analysis_reach(self) -> int:
        """How far g_a and then LMA see, in latents, rounded up."""
        return self.analysis.reach + 1

    @property
    def synthesis_reach(self) -> int:
        """How far g_s sees, in latents, rounded up."""
        return self.synthesis.reach


def latent_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) of the latent of a picture."""
    return -(-height // STRIDE), -(-width // STRIDE)


def hundredths_of(quality: float) -> int:
    """A quality of 0 to 100 as files have it: its only rounding.

    Raises:
        SpecError: if it is not in that range.
    """
    if not 0 <= quality <= 100:
        raise SpecError(f"quality: expected a number from 0 to 100, got {quality}")
    return round(quality * (QUALITY_STEPS // 100))


class Quality(NamedTuple):
    """A quality in the two forms that the networks use.

    Attributes:
        real: (B,) float32 in [0, 1], for the transforms.
        level: (B,) float32, integers in [0, 255], for the exact entropy networks.
    """

    real: Tensor
    level: Tensor

    @classmethod
    def of(cls, hundredths: Tensor) -> "Quality":
        """From (B,) int64 in [0, 10000]."""
        level = (hundredths * 255 + QUALITY_STEPS // 2) // QUALITY_STEPS
        return cls(hundredths.float() / QUALITY_STEPS, level.float())

    @classmethod
    def single(cls, quality: float) -> "Quality":
        """Of one picture, from a quality of 0 to 100.

        Raises:
            SpecError: if it is not in that range.
        """
        return cls.of(torch.tensor([hundredths_of(quality)]))


Quantise = Callable[[Tensor, Parameters], Tensor]


class Coded(NamedTuple):
    """What the networks make of a picture; in training all of it is differentiable.

    Attributes:
        x_hat: (B, 3, H, W) float32, about [0, 1] but not clamped.
        y: (B, 4, h/2, w/2, M) float32, before quantisation, pass by pass.
        z: (B, Z, ceil(h/4), ceil(w/4)) float32, before quantisation, in [-15, 15].
        y_parameters: what codes y, in the same layout.
    """

    x_hat: Tensor
    y: Tensor
    z: Tensor
    y_parameters: Parameters


class RoiHyperprior(nn.Module):
    """Hyperprior codec whose encoder spends its bits where the mask says.

             x (B, 3, H, W)   m (B, 1, H, W): 1 inside, sigma outside
                 |                 |
               [g_a]---features->[LMA]<---quality
                 | y0              | S(m) + R(features)
                 '-------(x)-------'
                          | x gain(quality)
                          y (B, M, h, w) --------[h_a]-------> z (B, Z, h/4, w/4)
                          |                                    |
                     round(y - means)                       round
                          |                                    |
        encoder           |  <--- rows, means ---[h_s, ctx]---|
        - - - - - - -  y string - - - - - - - - - - - - - -  z string - - - -
        decoder           |  <--- rows, means ---[h_s, ctx]---|
                        y_hat                                z_hat
                          | x inverse gain(quality)
                        [g_s]<---quality
                          |
                        x_hat (B, 3, H, W)

    Alphabet: B batch, M and Z channels, H W pixels, h w = H/16, W/16 rounded up.
    Source: Jin et al. 2025, arXiv:2507.00373 (TMA, CVA, LMA). Deviations: one model for every rate
    and sigma (gain; Cui et al. 2021), four-pass context (Li et al. 2023), integer entropy
    networks (Balle et al. 2019), convolutional transforms with a linear start.
    """

    def __init__(self, sizes: Sizes):
        super().__init__()
        s = self.sizes = sizes
        self.g_a = Analysis(s.M, s.analysis)
        self.g_s = Synthesis(s.M, s.synthesis)
        self.lma = LatentMaskAttention(s.analysis.n16, s.M)
        self.gain = Gain(s.M, 0.7, 2.9)
        self.inverse_gain = Gain(s.M, -0.7, -2.9)
        self.h_a = HyperAnalysis(s.M, s.hyper, s.Z)
        self.parameters_y = EntropyParameters(s.M, s.Z, s.width, s.context, s.hidden)

    def modulate(self, y0: Tensor, features: Tensor, level: Tensor, quality: Quality) -> Tensor:
        """y: (B, M, h, w) float32, from what g_a gives. The one place where the mask enters."""
        y: Tensor = y0 * self.lma(features, level, quality.real) * self.gain(quality.real)
        return y

    def synthesise(self, y_hat: Tensor, quality: Quality) -> Tensor:
        """The picture in blocks: (B, 192, 2h, 2w) float32, about [-0.5, 0.5], not clamped."""
        u_hat: Tensor = self.g_s(y_hat * self.inverse_gain(quality.real), quality.real)
        return u_hat

    def hyper(self, y: Tensor) -> Tensor:
        """z: (B, Z, ceil(h/4), ceil(w/4)) float32 in [-15, 15], before rounding."""
        z: Tensor = self.h_a(y)
        return z.clamp(-Z_MAX, Z_MAX)

    def quantised(
        self, y: Tensor, z_hat: Tensor, quality: Quality, quantise: Quantise
    ) -> tuple[Tensor, Tensor, Parameters]:
        """y_hat: (B, M, h, w); y pass by pass, (B, 4, h/2, w/2, M), and what codes it.

        Args:
            y: (B, M, h, w) float32, with even h and w.
            z_hat: (B, Z, ceil(h/4), ceil(w/4)) float32, integers in [-15, 15].
            quantise: gives the symbols of a pass from y and its parameters, both (B, M, h/2, w/2).
        """
        features = self.parameters_y.features(z_hat, quality.level, y.shape[-2:])
        y = y.contiguous(memory_format=torch.channels_last)
        y_hat, known, parts = torch.zeros_like(y), torch.zeros_like(y), []
        for number in range(PASSES):
            p = self.parameters_y(number, features, quality.level, known)
            part = quarter(number, y)
            value = quantise(part, p) + p.means
            y_hat = y_hat + spread(number, value)
            known = known + spread(number, compand(MEAN_UNIT * value))
            parts.append([t.permute(0, 2, 3, 1) for t in (part, *p)])
        y, rows, means = (torch.stack(t, 1) for t in zip(*parts, strict=True))
        return y_hat, y, Parameters(rows, means)

    def forward(self, x: Tensor, m: Tensor, hundredths: Tensor) -> Coded:
        """The coded picture by way of the networks alone, without making bytes.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
            m: (B, 1, H, W) float32 in (0, 1], the mask value of each pixel.
            hundredths: (B,) int64 in [0, 10000], quality * 100.
        """
        quality = Quality.of(hundredths)
        y0, features = self.g_a(to_blocks(x))
        y = self.modulate(y0, features, mask_level(m), quality)
        z = self.hyper(y)
        y_hat, y, parameters = self.quantised(
            y, round_ste(z), quality, lambda part, p: round_ste(part - p.means)
        )
        x_hat = from_blocks(self.synthesise(y_hat, quality)) + 0.5
        return Coded(x_hat, y, z, parameters)

    def config(self) -> dict[str, Any]:
        """The sizes, as stored beside the weights."""
        return asdict(self.sizes)
