"""LMA as published, on TIC and on CompressAI's models: a model for each rate, no gain.

For comparison with the literature. Their entropy parameters are floating point, so a file is sure
to decode only on the kind of machine that wrote it, and CompressAI's coder trusts its input: decode
files only from people whom you trust. `vcm.codec.models.roi` has neither weakness.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.api import kind_of
from vcm.codec.models.loss import bpp_est
from vcm.errors import ModelError, SpecError

# The highest quality with weights in CompressAI; a model's numbers of channels, if not N and M.
PRETRAINED: Final = {"bmshj2018-hyperprior": 8, "mbt2018-mean": 8, "cheng2020-anchor": 6}
CHANNELS: Final = {"cheng2020-anchor": ("N",)}


@dataclass(frozen=True)
class Preset:
    """[published] Which base codec, and how large.

    Attributes:
        base: "tic", or a model of CompressAI's zoo.
        N, M: its channels; the zoo's cheng2020-anchor has one number, N.
        pretrained: start from CompressAI's weights of this quality (1 to 8; cheng2020-anchor: 1 to
            6), with their N and M; 0: from random weights.
        lmbda: of the one rate, CompressAI's convention.
    """

    base: str = ""
    N: int = 128
    M: int = 192
    pretrained: int = 0
    lmbda: float = 0.013

    def __post_init__(self) -> None:
        kind_of(self.base)
        most = PRETRAINED.get(self.base, 0)
        if not 0 <= self.pretrained <= most:
            raise SpecError(
                f"pretrained: expected 0 to {most} for {self.base or 'no base'}, "
                f"got {self.pretrained}"
            )
        for key in ("N", "M", "lmbda"):
            if not getattr(self, key) > 0:
                raise SpecError(f"{key}: expected more than 0, got {getattr(self, key)}")


class Weighed(nn.Module):
    """g_a followed by LMA: y = y0 * (S(mask) + R(y0)).

    It takes picture and mask as one tensor, (B, 4, H, W), so that CompressAI's own `forward` and
    `compress` work unchanged.

    Source: Jin et al. 2025, arXiv:2507.00373, section on LMA; R reads the latent.
    """

    def __init__(self, g_a: nn.Module, M: int, hidden: int = 64):
        super().__init__()
        self.g_a = g_a
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, hidden), (hidden, hidden), (hidden, hidden), (hidden, M)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
        self.mask = nn.Sequential(*layers[:-1])
        self.image = nn.Sequential(
            nn.Conv2d(M, hidden, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hidden, M, 3, padding=1),
        )
        last, prior = self.mask[-1], self.image[-1]
        nn.init.constant_(last.bias, 4.0)  # type: ignore[arg-type]
        nn.init.zeros_(prior.weight)  # type: ignore[arg-type]
        nn.init.zeros_(prior.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:  # (B, 4, H, W) -> (B, M, H/16, W/16)
        """y, from the picture and, as a fourth channel, the mask values."""
        y0: Tensor = self.g_a(x[:, :3])
        s = torch.sigmoid(self.mask(x[:, 3:]))
        r = F.softsign(torch.tanh(self.image(y0)))
        return y0 * (s + r)


def build(preset: Preset) -> Any:
    """The model of a preset, with LMA.

    Raises:
        ModelError: if pretrained weights cannot be downloaded.
    """
    return with_lma(kind_of(preset.base).imported("net")(preset))


def with_lma(net: Any) -> Any:
    """A CompressAI model, its g_a wrapped in `Weighed`."""
    net.g_a = Weighed(net.g_a, net.M)
    return net


def encoder_of(net: Any) -> nn.ModuleList:
    """The parts of a CompressAI model that only an encoder needs."""
    return nn.ModuleList([net.g_a, net.h_a])


def of_zoo(preset: Preset) -> Any:
    """A model of CompressAI's zoo.

    Raises:
        ModelError: if pretrained weights cannot be downloaded.
    """
    from compressai.zoo import image_models
    from compressai.zoo.image import model_architectures

    if preset.pretrained:
        try:
            return image_models[preset.base](
                preset.pretrained, metric="mse", pretrained=True, progress=False
            )
        except OSError as error:
            raise ModelError(f"{preset.base}: no weights ({error}); set pretrained = 0") from error
    channels = (getattr(preset, name) for name in CHANNELS.get(preset.base, ("N", "M")))
    return model_architectures[preset.base](*channels)


class Outcome(NamedTuple):
    """What training needs of a step: x_hat and bits per pixel of each picture."""

    x_hat: Tensor
    bpp: Tensor


def outcome(model: Callable[[Tensor], dict[str, Any]], x: Tensor, m: Tensor) -> Outcome:
    """The coded pictures, computed by the networks alone, without making bytes."""
    out = model(torch.cat([x, m], 1))
    return Outcome(out["x_hat"], bpp_est(out["likelihoods"], x[0, 0].numel()))
