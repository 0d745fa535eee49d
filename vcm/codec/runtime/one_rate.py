"""A published codec behind the interface of `vcm.codec.api`: one rate, so quality is ignored.

Its files are sure to decode only on the kind of machine that wrote them, see
`vcm.codec.models.published`.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm import toml, weightfile
from vcm.codec.api import Codec, Mechanism
from vcm.codec.format.strings import Strings
from vcm.codec.models import published
from vcm.codec.models.halves import outside
from vcm.codec.models.published import Preset
from vcm.codec.nets.lma import TwoValues
from vcm.codec.runtime.encoder import check
from vcm.device import device_of
from vcm.errors import BitstreamError, ModelError, SpecError

FORMAT: Final = "vcm-published-1"
STRIDE: Final = 64  # of the hyper-latent; pictures are padded to multiples of it


class OneRate(Codec):
    """A codec of one rate.

    Args:
        net: a CompressAI model with LMA and its coding tables.
        fingerprint, card: see `PictureCodec`.
    """

    any_rate = False

    def __init__(self, net: Any, fingerprint: bytes, card: dict[str, str]):
        self.fingerprint = fingerprint
        self.card = card
        self._net: Any = net.eval()
        self._device = next(net.parameters()).device

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        device: str = "cpu",
        bf16: bool | None = None,
        side: int | None = None,
        mechanism: Mechanism | None = None,
    ) -> "OneRate":
        """The codec of a weight file; arguments and errors as `Codec.load`."""
        on = device_of(device)
        if bf16 or side or mechanism not in (None, "lma"):
            raise SpecError("a published model has no tiles, bfloat16 or map; leave them out")
        tensors, card = weightfile.read(path, FORMAT)
        try:
            preset = toml.build(Preset, json.loads(card["preset"]) | {"pretrained": 0}, "preset")
            net = published.build(preset)
            net.load_state_dict(tensors)
        except (SpecError, KeyError, TypeError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: the weights do not fit: {reason}") from error
        decoder = outside(net, published.encoder_of(net))
        fingerprint = bytes.fromhex(weightfile.digest(tensors, decoder))[:8]
        return cls(net.to(on), fingerprint, card)

    @torch.inference_mode()
    def compress(
        self, x: Tensor, m: Tensor | TwoValues, quality: float = 0, effort: int = 0
    ) -> Strings:
        """As `PictureCodec.compress`; there is no search, so `effort` must be 0."""
        check(x, m)
        if effort:
            raise SpecError(
                "effort: these weights are of a published model, which has no such search"
            )
        pixels = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        both = torch.cat([pixels, m[:].float()], 1).to(self._device)
        padding = (0, -x.shape[3] % STRIDE, 0, -x.shape[2] % STRIDE)
        (y,), (z,) = self._net.compress(F.pad(both, padding, mode="replicate"))["strings"]
        return Strings(z=bytes(z), y=bytes(y))

    @torch.inference_mode()
    def decompress(
        self, strings: Strings, height: int, width: int, quality: float = 0, side: int | None = None
    ) -> Tensor:
        """As `PictureCodec.decompress`, but it notices only damage that CompressAI's coder does."""
        shape = (math.ceil(height / STRIDE), math.ceil(width / STRIDE))
        try:
            decoded = self._net.decompress([[strings.y], [strings.z]], shape)["x_hat"]
        except (RuntimeError, ValueError) as error:
            raise BitstreamError(
                f"the strings do not fit a picture of this size: {error}"
            ) from error
        x_hat: Tensor = decoded[..., :height, :width].clamp(0, 1)
        return (x_hat * 255).round().byte().cpu()

    def compress_to(
        self, x: Tensor, m: Tensor | TwoValues, size: int, header: int = 0, effort: int = 0
    ) -> tuple[float, Strings]:
        """Always raises a SpecError: there is one rate."""
        raise SpecError("these weights have one rate; a size in bytes cannot be chosen")

    def side_of(self, height: int, width: int) -> int:
        """0: there are no tiles."""
        return 0

    def bits_at(
        self, strings: Strings, height: int, width: int, quality: float, side: int
    ) -> Tensor:
        """Always raises a SpecError: CompressAI's coder does not tell."""
        raise SpecError("files of published models do not record where the bits went")


def save(path: Path, net: Any, preset: Preset, card: dict[str, str]) -> None:
    """Write trained networks, and the coding tables that this call makes from them."""
    net.eval().update(force=True, update_quantiles=True)
    card = card | {"preset": json.dumps(asdict(preset))}
    weightfile.write(path, FORMAT, dict(net.state_dict()), card)
