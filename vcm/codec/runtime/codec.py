"""The codec as a user holds it: pictures to strings and back."""

from pathlib import Path

from torch import Tensor

from vcm.codec.models.roi import latent_size
from vcm.codec.nets.lma import TwoValues
from vcm.codec.runtime.decoder import Decoder
from vcm.codec.runtime.encoder import Encoder
from vcm.codec.runtime.latent import LatentCoder, Strings
from vcm.codec.runtime.precision import Precision
from vcm.codec.runtime.weights import DEFAULT, ENCODER_KIND, PUBLISHED, TASK, Weights, find, load
from vcm.errors import SpecError
from vcm.weightfile import kind_of

EFFORT_MAX = 10_000


class Codec:
    """A trained model: every text, mask, sigma and quality.

    Args:
        side: of the tiles in latents, 0 for none; None: by the picture's size. Pictures and
            latents do not depend on it, memory and the order of symbols in the file do.
        bf16: whether the transforms run in bfloat16, on photos within one level of 255 of float32
            (two for two values in ten thousand, where sigma is small); None: where the processor
            has instructions for it.

    It computes on the CPU; a GPU is for training.

    Example:
        >>> import torch
        >>> codec = vcm.Codec.load()
        >>> x = torch.rand(1, 3, 40, 50)
        >>> strings = codec.compress(x, torch.ones(1, 1, 40, 50), quality=50)
        >>> codec.decompress(strings, 40, 50, quality=50).shape
        torch.Size([1, 3, 40, 50])
    """

    def __init__(self, weights: Weights, side: int | None = None, bf16: bool | None = None):
        self.model = weights.model
        self.fingerprint = weights.fingerprint
        self.card = weights.card
        self.latents = LatentCoder(weights.model, weights.tables)
        parts = weights.model, self.latents, Precision(bf16), side
        self.encoder, self.decoder = Encoder(*parts, weights.lmbda), Decoder(*parts)

    @classmethod
    def load(cls, name_or_path: str | Path = DEFAULT) -> "Codec":
        """The codec of a built-in model's name or of a weight file.

        Raises:
            ModelError: if there is no such model or its file is damaged.
        """
        path = find(name_or_path)
        if kind_of(path) == PUBLISHED:
            from vcm.codec.models.published import (
                Published,  # it needs compressai, which takes seconds
            )

            return Published.read(path)
        return cls(load(path))

    def compress(
        self, x: Tensor, m: Tensor | TwoValues, quality: float, effort: int = 0
    ) -> Strings:
        """The strings of a picture.

        Args:
            x: (1, 3, H, W) uint8, or floating point in [0, 1]; RGB, any size.
            m: (1, 1, H, W) floating point in (0, 1], mask values: 1 inside, sigma outside. As
                `TwoValues` they need less memory.
            quality: 0 (fewest bits) to 100; two decimals are kept.
            effort: steps of a search for a better latent: fewer bits for the same picture, for
                about eight times the time of an encoding each.

        Raises:
            SpecError: if a shape or a value is not as above, or effort is asked of an encoder that
                was tuned on its own.
        """
        self._check_effort(effort)
        return self.encoder.compress(x, m, quality, effort)

    def compress_to(
        self, x: Tensor, m: Tensor | TwoValues, size: int, header: int = 0, effort: int = 0
    ) -> tuple[float, Strings]:
        """A quality and its strings, which measure `size` bytes with a header, or nearly that.

        Args:
            x, m, effort: as for `compress`.
            header: bytes that the file has besides the strings.

        Raises:
            SpecError: as `compress`, or if no quality gives such a size.
        """
        self._check_effort(effort)
        return self.encoder.compress_to(x, m, size, header, effort)

    def decompress(
        self, strings: Strings, height: int, width: int, quality: float, side: int | None = None
    ) -> Tensor:
        """x_hat: (1, 3, height, width) uint8, RGB, channels last in memory.

        Args:
            side: of the tiles in latents, from the file's header; None: as `compress` has it.

        Raises:
            BitstreamError: if the strings cannot be of such a picture.
        """
        y_hat = self.decoder.read(strings, height, width, quality, side)
        return self.decoder.render(y_hat, height, width, quality)

    def side_of(self, height: int, width: int) -> int:
        """Side in latents of the tiles that such a picture is coded in, 0 for none.

        Raises:
            SpecError: if it was given and such a picture cannot be coded so.
        """
        return self.encoder.side(*latent_size(height, width))

    def bits_at(
        self, strings: Strings, height: int, width: int, quality: float, side: int
    ) -> Tensor:
        """Bits that went to each 16x16 pixels: (h, w) float32.

        Raises:
            BitstreamError: as `decompress`.
        """
        return self.decoder.bits_at(strings, height, width, quality, side)

    def _check_effort(self, effort: int) -> None:
        if not 0 <= effort <= EFFORT_MAX:
            raise SpecError(f"effort: expected 0 to {EFFORT_MAX} steps, got {effort}")
        if effort and (self.card["format"] == ENCODER_KIND or TASK in self.card):
            raise SpecError(
                "effort lowers the squared error, which is not what this encoder was tuned for: "
                "leave it out, or name weights that were trained without a task"
            )
