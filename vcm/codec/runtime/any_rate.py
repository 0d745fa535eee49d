"""Our codec behind the interface of `vcm.codec.api`: one model for every rate."""

from pathlib import Path

from torch import Tensor

from vcm.codec.api import EFFORT_MAX, Codec, Mechanism
from vcm.codec.format.constants import latent_size
from vcm.codec.format.control import Control
from vcm.codec.format.strings import Strings
from vcm.codec.nets.lma import TwoValues
from vcm.codec.runtime.decoder import Decoder
from vcm.codec.runtime.encoder import Encoder
from vcm.codec.runtime.latent import LatentCoder
from vcm.codec.runtime.precision import Precision
from vcm.codec.runtime.weights import ENCODER_KIND, TASK, Weights, load
from vcm.device import device_of
from vcm.errors import SpecError


class AnyRate(Codec):
    """A model of ours with its coding tables, ready to encode and to decode.

    Args:
        weights: on the device of `precision`.
        precision: the device, and whether the transforms run in bfloat16.
        side, mechanism: see `Codec.load`.
    """

    any_rate = True

    def __init__(
        self,
        weights: Weights,
        precision: Precision,
        side: int | None = None,
        mechanism: Mechanism | None = None,
    ):
        self.model = weights.model
        self.fingerprint = weights.fingerprint
        self.card = weights.card
        self.latents = LatentCoder(weights.model, weights.tables)
        self.encoder = Encoder(self.model, self.latents, precision, side, weights.lmbda, mechanism)
        self.decoder = Decoder(self.model, self.latents, precision, side)

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        device: str = "cpu",
        bf16: bool | None = None,
        side: int | None = None,
        mechanism: Mechanism | None = None,
    ) -> "AnyRate":
        """The codec of a weight file; arguments and errors as `Codec.load`."""
        on = device_of(device)
        return cls(load(path, on), Precision(bf16, on), side, mechanism)

    def compress(
        self, x: Tensor, m: Tensor | TwoValues, quality: float, effort: int = 0
    ) -> Strings:
        """As `PictureCodec.compress`."""
        self._check_effort(effort)
        return self.encoder.compress(x, m, Control(quality), effort)

    def compress_to(
        self, x: Tensor, m: Tensor | TwoValues, size: int, header: int = 0, effort: int = 0
    ) -> tuple[float, Strings]:
        """As `PictureCodec.compress_to`."""
        self._check_effort(effort)
        return self.encoder.compress_to(x, m, size, header, effort)

    def decompress(
        self, strings: Strings, height: int, width: int, quality: float, side: int | None = None
    ) -> Tensor:
        """As `PictureCodec.decompress`; channels last in memory."""
        control = self.decoder.told(strings, height, width, quality, side)
        y_hat = self.decoder.read(strings, height, width, control, side)
        return self.decoder.render(y_hat, height, width, control)

    def side_of(self, height: int, width: int) -> int:
        """As `PictureCodec.side_of`."""
        return self.encoder.side(*latent_size(height, width))

    def bits_at(
        self, strings: Strings, height: int, width: int, quality: float, side: int
    ) -> Tensor:
        """As `PictureCodec.bits_at`."""
        control = self.decoder.told(strings, height, width, quality, side)
        return self.decoder.bits_at(strings, height, width, control, side)

    def _check_effort(self, effort: int) -> None:
        if not 0 <= effort <= EFFORT_MAX:
            raise SpecError(f"effort: expected 0 to {EFFORT_MAX} steps, got {effort}")
        if effort and (self.card["format"] == ENCODER_KIND or TASK in self.card):
            raise SpecError(
                "effort lowers the squared error, which is not what this encoder was tuned for: "
                "leave it out, or use weights that were trained without a task loss"
            )
