"""Our codec as a module for other people's training code, with the contract of CompressAI's models.

Example:
    >>> import torch
    >>> from vcm.nn import RoiCodec
    >>> codec = RoiCodec.from_pretrained("base").train()
    >>> x, m = torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64)
    >>> out = codec(x, m, quality=torch.tensor([20.0, 80.0]))
    >>> sorted(out), sorted(out["likelihoods"])
    (['likelihoods', 'x_hat'], ['y', 'z'])
"""

import copy
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from vcm.codec.format.constants import QUALITY_STEPS
from vcm.codec.format.control import Control
from vcm.codec.format.strings import Strings
from vcm.codec.models import cva
from vcm.codec.models.loss import LMBDA
from vcm.codec.models.rate import Rate, rate_of
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.integer import freeze
from vcm.codec.runtime import weights
from vcm.codec.runtime.decoder import Decoder
from vcm.codec.runtime.encoder import Encoder
from vcm.codec.runtime.latent import LatentCoder
from vcm.codec.runtime.precision import Precision
from vcm.errors import BitstreamError, SpecError
from vcm.weightfile import DEFAULT

UNIT: Final = 32  # pixels: the sides of pictures in training are multiples of this
QUALITY: Final = struct.Struct("<H")  # a quality in hundredths


class RoiCodec(nn.Module):
    """`vcm.codec.models.roi.RoiHyperprior` and its entropy models; all parameters can be trained.

    Qualities are 0 (fewest bits) to 100: one for all pictures, or a tensor (B,) with one for each.
    A mask value says how much a pixel matters: 1 inside the ROI, sigma outside; None is 1
    everywhere. In a loss, weight a pixel's squared error by its mask value squared.

    Args:
        sizes: widths and depths of the networks.
    """

    def __init__(self, sizes: Sizes | None = None):
        super().__init__()
        self.model = RoiHyperprior(sizes or Sizes())
        self.rate = Rate(self.model.sizes.Z)
        self.rate.prior_z.quantiles.requires_grad_()  # CompressAI's optimisers look for it
        self.lmbda = LMBDA  # of the loss at quality 0 and 100; turns mask values into qualities
        self._halves: tuple[Encoder, Decoder] | None = None

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT) -> "RoiCodec":
        """A built-in model by name, or the model in a weight file, in evaluation mode.

        It uses the file's coding tables, so `vcm.Codec` and it decode each other's strings.

        Raises:
            ModelError: if there is no such model, it is not an `roi` model, or its file is damaged.
        """
        found = weights.load(name_or_path)
        codec = cls(found.model.sizes)
        codec.model = found.model.requires_grad_()
        codec.lmbda = found.lmbda
        codec.rate.load_state_dict(rate_of(found.prior, found.tables["z"]).state_dict())
        codec._ready(LatentCoder(codec.model, found.tables))
        return codec.eval()

    @property
    def downsampling_factor(self) -> int:
        """Height and width of pictures in `forward` must be multiples of this."""
        return UNIT

    def forward(
        self, x: Tensor, m: Tensor | None = None, quality: float | Tensor = 50.0
    ) -> dict[str, Any]:
        """{"x_hat", "likelihoods": {"y", "z"}}; in training mode with noise instead of rounding.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
            m: (B, 1, H, W) float32 in (0, 1], mask values.
            quality: see the class.

        Returns:
            x_hat: (B, 3, H, W) float32, about [0, 1] but not clamped.
            likelihoods: of each symbol, float32: "y" (B, 4, h/2, w/2, M), "z" (B, Z, h/4, w/4).

        Raises:
            SpecError: if a size or a quality is not as above.
        """
        if x.shape[2] % UNIT or x.shape[3] % UNIT:
            raise SpecError(f"x: expected sides that are multiples of {UNIT}, got {list(x.shape)}")
        mask = torch.ones_like(x[:, :1]) if m is None else m
        hundredths = _hundredths(quality, len(x)).to(x.device)
        if self.model.sizes.below:
            latents = cva.of_latents(mask)
            hundredths = cva.qualities(hundredths, latents, self.lmbda)
            mask = cva.relative(mask, latents)
        coded = self.model(x, mask, hundredths)
        likelihoods = self.rate(coded, _noise if self.training else None)
        return {"x_hat": coded.x_hat, "likelihoods": likelihoods}

    def aux_loss(self) -> Tensor:
        """CompressAI's loss of the quantiles of z's prior; nothing here depends on them."""
        return self.rate.prior_z.loss()  # type: ignore[no-any-return]

    def update(self, scale_table: Any = None, force: bool = False, **_: Any) -> bool:
        """Build the coding tables of `compress` and `decompress` from the priors.

        Args:
            scale_table: ignored: y's table is fixed.
            force: rebuild tables that exist.

        Returns:
            Whether they were built.
        """
        if self._halves is not None and not force:
            return False
        freeze(self.model)
        self._ready(LatentCoder(self.model, self.rate.tables()))
        return True

    def compress(
        self, x: Tensor, m: Tensor | None = None, quality: float | Tensor = 50.0
    ) -> dict[str, Any]:
        """{"strings": [y, z, quality], "shape": (H, W)}, each string a list of B `bytes`.

        The quality, followed by the map if there is one, is a string like the others, so the
        lengths add up to everything that a decoder needs besides the size.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB, of any size.
            m, quality: as for `forward`.

        Raises:
            SpecError: if an argument is not as above, or there are no coding tables yet.
        """
        encoder, _ = self._updated()
        mask = torch.ones_like(x[:, :1]) if m is None else m
        hundredths = _hundredths(quality, len(x)).tolist()
        found = [
            encoder.compress(x[i : i + 1], mask[i : i + 1], Control(n / 100))
            for i, n in enumerate(hundredths)
        ]
        y, z = [strings.y for strings in found], [strings.z for strings in found]
        controls = [QUALITY.pack(n) + s.map for n, s in zip(hundredths, found, strict=True)]
        return {"strings": [y, z, controls], "shape": tuple(x.shape[2:])}

    def decompress(
        self, strings: Sequence[Sequence[bytes]], shape: Sequence[int]
    ) -> dict[str, Tensor]:
        """{"x_hat"}: (B, 3, H, W) float32 in [0, 1], in steps of 1/255, of what `compress` gave.

        Raises:
            BitstreamError: if the strings cannot be of such pictures.
            SpecError: if there are no coding tables yet.
        """
        _, decoder = self._updated()
        height, width = shape
        pictures = []
        for y, z, coded in zip(*strings, strict=True):
            one, head = Strings(z, y, coded[QUALITY.size :]), coded[: QUALITY.size]
            if len(head) < QUALITY.size or QUALITY.unpack(head)[0] > QUALITY_STEPS:
                raise BitstreamError(f"quality: expected 0 to {QUALITY_STEPS}, got {head.hex()}")
            quality = QUALITY.unpack(head)[0] / 100
            control = decoder.told(one, height, width, quality, None)
            y_hat = decoder.read(one, height, width, control, None)
            pictures.append(decoder.render(y_hat, height, width, control))
        return {"x_hat": torch.cat(pictures).float().to(decoder.device) / 255}

    def save(self, path: str | Path, card: dict[str, str] | None = None) -> None:
        """Write a weight file that `vcm.Codec.load`, `vcm encode` and `vcm decode` read.

        Args:
            card: strings about the model. {"lmbda": "[0.001, 0.05]"} is lambda of the loss at
                quality 0 and 100, which maps and the search for better latents use.

        Raises:
            OutputError: if it cannot be written.
        """
        stored = copy.deepcopy(self).cpu().half().float()  # rounded as in the file
        prior = stored.rate.prior()
        weights.save(Path(path), stored.model, stored.rate.tables(), card or {}, prior)

    def _ready(self, latents: LatentCoder) -> None:
        precision = Precision(False, latents.device)
        encoder = Encoder(self.model, latents, precision, None, self.lmbda)
        self._halves = encoder, Decoder(self.model, latents, precision, None)

    def _updated(self) -> tuple[Encoder, Decoder]:
        if self._halves is None:
            raise SpecError("there are no coding tables yet: call update()")
        device = next(self.model.parameters()).device
        if self._halves[0].device != device:  # it was moved since
            freeze(self.model)
            self._ready(LatentCoder(self.model, self._halves[0].latents.tables))
        return self._halves


def _hundredths(quality: float | Tensor, count: int) -> Tensor:
    """(B,) int64 in [0, 10000]; raises SpecError."""
    if not isinstance(quality, Tensor):
        return torch.full((count,), Control(quality).hundredths)
    if quality.shape != (count,) or not (quality.min() >= 0 and quality.max() <= 100):
        raise SpecError(f"quality: expected ({count},) numbers from 0 to 100, got {quality}")
    return (quality.double() * 100).round().long()


def _noise(t: Tensor) -> Tensor:
    return torch.empty_like(t).uniform_(-0.5, 0.5)
