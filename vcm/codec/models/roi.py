"""The codec's networks: one model for every text, mask, sigma and rate."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcm.codec.format.constants import MEAN_UNIT, PASSES, Z_MAX
from vcm.codec.models.halves import Halves
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.control import Controls
from vcm.codec.nets.entropy import EntropyParameters, Parameters
from vcm.codec.nets.gain import Gain
from vcm.codec.nets.hyper import HyperAnalysis
from vcm.codec.nets.integer import compand, round_ste
from vcm.codec.nets.lma import LatentMaskAttention, mask_level
from vcm.codec.nets.quarters import quarter, spread
from vcm.codec.nets.transforms import Analysis, Synthesis, from_blocks, to_blocks

Quantise = Callable[[Tensor, Parameters], Tensor]


class Coded(NamedTuple):
    """What the networks compute from a picture; in training all of it is differentiable.

    Attributes:
        x_hat: (B, 3, H, W) float32, about [0, 1] but not clamped.
        y: (B, 4, h/2, w/2, M) float32, before quantisation, pass by pass.
        z: (B, Z, ceil(h/4), ceil(w/4)) float32, before quantisation, in [-15, 15].
        y_parameters: entropy parameters of y, in the same layout.
    """

    x_hat: Tensor
    y: Tensor
    z: Tensor
    y_parameters: Parameters


class RoiEncoder(nn.Module):
    """The networks that only an encoder has. They may change: existing decoders read its files."""

    def __init__(self, *, g_a: Analysis, lma: LatentMaskAttention, gain: Gain, h_a: HyperAnalysis):
        super().__init__()
        self.g_a, self.lma, self.gain, self.h_a = g_a, lma, gain, h_a

    def modulate(self, y0: Tensor, features: Tensor, mask: Tensor, control: Controls) -> Tensor:
        """y: (B, M, h, w) float32, from g_a's outputs. The mask enters here and nowhere else."""
        y: Tensor = y0 * self.lma(features, mask, control) * self.gain(control)
        return y

    def hyper(self, y: Tensor) -> Tensor:
        """z: (B, Z, ceil(h/4), ceil(w/4)) float32 in [-15, 15], before rounding."""
        z: Tensor = self.h_a(y)
        return z.clamp(-Z_MAX, Z_MAX)


class RoiDecoder(nn.Module):
    """The networks that a decoder has. An encoder runs them too, to know what a decoder will."""

    def __init__(self, *, g_s: Synthesis, inverse_gain: Gain, parameters_y: EntropyParameters):
        super().__init__()
        self.g_s, self.inverse_gain, self.parameters_y = g_s, inverse_gain, parameters_y

    def synthesise(self, y_hat: Tensor, control: Controls) -> Tensor:
        """The picture in blocks: (B, 192, 2h, 2w) float32, about [-0.5, 0.5], not clamped."""
        u_hat: Tensor = self.g_s(y_hat * self.inverse_gain(control), control)
        return u_hat


class RoiHyperprior(Halves):
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

    With a map (`Sizes.below`) each latent has its own quality, which the file stores, and LMA sees
    mask values relative to their latent's.

    Alphabet: B batch, M and Z channels, H W pixels, h w = H/16, W/16 rounded up.
    Source: Jin et al. 2025, arXiv:2507.00373 (TMA, CVA, LMA). Deviations: one model for every rate
    and sigma (gain; Cui et al. 2021), four-pass context (Li et al. 2023), integer entropy
    networks (Balle et al. 2019), convolutional transforms with a linear start.

    Args:
        encoder, decoder: the classes of the halves; studies try others.
    """

    encoder: RoiEncoder
    decoder: RoiDecoder

    def __init__(
        self,
        sizes: Sizes,
        encoder: type[RoiEncoder] = RoiEncoder,
        decoder: type[RoiDecoder] = RoiDecoder,
    ):
        super().__init__()
        s = self.sizes = sizes
        g_a, g_s = Analysis(s.M, s.analysis), Synthesis(s.M, s.synthesis, s.below)
        lma = LatentMaskAttention(s.analysis.n16, s.M, s.below)
        gain, inverse_gain = Gain(s.M, 0.7, 2.9, s.below), Gain(s.M, -0.7, -2.9, s.below)
        h_a = HyperAnalysis(s.M, s.hyper, s.Z)
        parameters_y = EntropyParameters(s.M, s.Z, s.width, s.context, s.hidden, s.below > 0)
        self.encoder = encoder(g_a=g_a, lma=lma, gain=gain, h_a=h_a)
        self.decoder = decoder(g_s=g_s, inverse_gain=inverse_gain, parameters_y=parameters_y)

    def quantised(
        self, y: Tensor, z_hat: Tensor, control: Controls, quantise: Quantise
    ) -> tuple[Tensor, Tensor, Parameters]:
        """y_hat: (B, M, h, w); y pass by pass, (B, 4, h/2, w/2, M); its entropy parameters.

        Args:
            y: (B, M, h, w) float32, with even h and w.
            z_hat: (B, Z, ceil(h/4), ceil(w/4)) float32, integers in [-15, 15].
            quantise: (y, parameters) of a pass -> its symbols, all (B, M, h/2, w/2).
        """
        networks = self.decoder.parameters_y
        features = networks.features(z_hat, control, y.shape[-2:])
        y = y.contiguous(memory_format=torch.channels_last)
        y_hat, known, parts = torch.zeros_like(y), torch.zeros_like(y), []
        for number in range(PASSES):
            p = networks(number, features, control, known)
            part = quarter(number, y, networks.places)
            value = quantise(part, p) + p.means
            y_hat = y_hat + spread(number, value, networks.places)
            known = known + spread(number, compand(MEAN_UNIT * value), networks.places)
            parts.append([t.permute(0, 2, 3, 1) for t in (part, *p)])
        y, rows, means = (torch.stack(t, 1) for t in zip(*parts, strict=True))
        return y_hat, y, Parameters(rows, means)

    def forward(self, x: Tensor, m: Tensor, hundredths: Tensor) -> Coded:
        """The coded picture, computed by the networks alone, without making bytes.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
            m: (B, 1, H, W) float32 in (0, 1], what LMA sees: the mask value of each pixel, or with
                a map its ratio to the latent's value.
            hundredths: (B,) int64 in [0, 10000], quality * 100; or for each latent, (B, h, w), at
                least -14000.
        """
        control = Controls.of(hundredths)
        y0, features = self.encoder.g_a(to_blocks(x))
        y = self.encoder.modulate(y0, features, mask_level(m), control)
        z = self.encoder.hyper(y)
        y_hat, y, parameters = self.quantised(
            y, round_ste(z), control, lambda part, p: round_ste(part - p.means)
        )
        x_hat = from_blocks(self.decoder.synthesise(y_hat, control)) + 0.5
        return Coded(x_hat, y, z, parameters)

    def config(self) -> dict[str, Any]:
        """The sizes, as stored beside the weights."""
        return asdict(self.sizes)
