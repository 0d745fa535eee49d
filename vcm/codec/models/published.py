"""LMA as published, on TIC and on CompressAI's models: a model for each rate, no gain.

For comparison with the literature. Their entropy parameters are floating point, so that a file
decodes on the kind of machine that wrote it, and CompressAI's coder trusts its input: decode files
from people whom you trust. `vcm.codec.models.roi` has neither weakness.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm import toml, weightfile
from vcm.codec.models.loss import bpp_est
from vcm.codec.nets.lma import TwoValues
from vcm.codec.runtime.codec import Codec
from vcm.codec.runtime.encoder import check
from vcm.codec.runtime.latent import Strings
from vcm.codec.runtime.weights import PUBLISHED
from vcm.errors import BitstreamError, ModelError, SpecError

STRIDE: Final = 64  # of the hyper-latent; pictures are padded to multiples of it
BASES: Final = ("tic", "bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor")
ENCODER: Final = ("g_a.", "h_a.")


@dataclass(frozen=True)
class Preset:
    """[published] Which base codec, and how large.

    Attributes:
        base: "tic", or a model of CompressAI's zoo.
        N, M: its channels; the zoo's cheng2020-anchor has one number, N.
        pretrained: begin with CompressAI's weights of this quality (1 to 8; cheng2020-anchor: to
            6), 0 for none. They bring their own N and M.
        lmbda: of the one rate, CompressAI's convention.
    """

    base: str = ""
    N: int = 128
    M: int = 192
    pretrained: int = 0
    lmbda: float = 0.013

    def __post_init__(self) -> None:
        if self.base and self.base not in BASES:
            raise SpecError(f"base: expected one of {', '.join(BASES)}, got {self.base!r}")
        most = 0 if self.base in ("", "tic") else 6 if self.base == "cheng2020-anchor" else 8
        if not 0 <= self.pretrained <= most:
            raise SpecError(
                f"pretrained: expected 0 to {most} for {self.base or 'no base'}, "
                f"got {self.pretrained}"
            )
        for key in ("N", "M", "lmbda"):
            if not getattr(self, key) > 0:
                raise SpecError(f"{key}: expected more than 0, got {getattr(self, key)}")


class Weighed(nn.Module):
    """g_a whose latent is weighed by LMA: y = y0 * (S(mask) + R(y0)).

    It takes picture and mask as one tensor, (B, 4, H, W), so that CompressAI's own `forward` and
    `compress` need not know of it.

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
    """A CompressAI model whose g_a is `Weighed`.

    Raises:
        ModelError: if pretrained weights cannot be downloaded.
    """
    base = _base(preset)
    base.g_a = Weighed(base.g_a, base.M)
    return base


def _base(preset: Preset) -> Any:
    if preset.base == "tic":
        from vcm.codec.models.tic import Tic

        return Tic(preset.N, preset.M)
    from compressai.zoo import image_models
    from compressai.zoo.image import model_architectures

    if preset.pretrained:
        try:
            return image_models[preset.base](
                preset.pretrained, metric="mse", pretrained=True, progress=False
            )
        except OSError as error:
            raise ModelError(f"{preset.base}: no weights ({error}); set pretrained = 0") from error
    sizes = (preset.N,) if preset.base == "cheng2020-anchor" else (preset.N, preset.M)
    return model_architectures[preset.base](*sizes)


def save(path: Path, model: Any, preset: Preset, card: dict[str, str]) -> None:
    """Write a trained model with its coding tables, which are made here."""
    model.eval().update(force=True, update_quantiles=True)
    card = card | {"preset": json.dumps(asdict(preset))}
    weightfile.write(path, PUBLISHED, dict(model.state_dict()), card)


class Published(Codec):
    """A codec of one rate with the interface of `Codec`; quality means nothing."""

    def __init__(self, model: Any, fingerprint: bytes, card: dict[str, str]):
        self._net: Any = model.eval()
        self.fingerprint = fingerprint
        self.card = card

    @classmethod
    def read(cls, path: Path) -> "Published":
        """The codec of a weight file.

        Raises:
            ModelError: if it is damaged or of another kind.
        """
        tensors, card = weightfile.read(path, PUBLISHED)
        try:
            preset = toml.build(Preset, json.loads(card["preset"]) | {"pretrained": 0}, "preset")
            model = build(preset)
            model.load_state_dict(tensors)
        except (SpecError, KeyError, TypeError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: the weights do not fit: {reason}") from error
        decoder = (k for k in tensors if not k.startswith(ENCODER))
        return cls(model, bytes.fromhex(weightfile.digest(tensors, decoder))[:8], card)

    @torch.inference_mode()
    def compress(
        self, x: Tensor, m: Tensor | TwoValues, quality: float = 0, effort: int = 0
    ) -> Strings:
        """The strings of a picture; arguments as for `Codec.compress`, without effort."""
        check(x, m)
        if effort:
            raise SpecError("these weights are of a published model, whose files know no effort")
        pixels = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        both = torch.cat([pixels, m[:].float()], 1)
        padding = (0, -x.shape[3] % STRIDE, 0, -x.shape[2] % STRIDE)
        (y,), (z,) = self._net.compress(F.pad(both, padding, mode="replicate"))["strings"]
        return Strings(z=bytes(z), y=bytes(y))

    @torch.inference_mode()
    def decompress(
        self, strings: Strings, height: int, width: int, quality: float = 0, side: int | None = None
    ) -> Tensor:
        """x_hat: (1, 3, height, width) uint8, RGB.

        Raises:
            BitstreamError: if the coder notices that the strings are not of such a picture.
        """
        shape = (math.ceil(height / STRIDE), math.ceil(width / STRIDE))
        try:
            decoded = self._net.decompress([[strings.y], [strings.z]], shape)["x_hat"]
        except (RuntimeError, ValueError) as error:
            raise BitstreamError(f"the strings are of no such picture: {error}") from error
        x_hat: Tensor = decoded[..., :height, :width].clamp(0, 1)
        return (x_hat * 255).round().byte()

    def compress_to(self, *_: Any, **__: Any) -> tuple[float, Strings]:
        """Raises a SpecError: there is one rate."""
        raise SpecError("these weights have one rate; a size in bytes cannot be chosen")

    def side_of(self, height: int, width: int) -> int:
        """0: there are no tiles."""
        return 0

    def bits_at(self, *_: Any, **__: Any) -> Tensor:
        """Raises a SpecError: CompressAI's coder does not tell."""
        raise SpecError("where the bits went: files of published models do not tell")


class Outcome(NamedTuple):
    """What training needs of a step: x_hat and bits per pixel of each picture."""

    x_hat: Tensor
    bpp: Tensor


def outcome(model: Callable[[Tensor], dict[str, Any]], x: Tensor, m: Tensor) -> Outcome:
    """The coded pictures by way of the networks alone."""
    out = model(torch.cat([x, m], 1))
    return Outcome(out["x_hat"], bpp_est(out["likelihoods"], x[0, 0].numel()))
