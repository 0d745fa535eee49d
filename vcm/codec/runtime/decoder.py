"""Strings to pictures, tile by tile."""

import logging
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from vcm.codec.format import levels, tiles
from vcm.codec.format.constants import MEAN_UNIT, STRIDE, latent_size
from vcm.codec.format.control import Control
from vcm.codec.format.strings import Strings
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.codec.nets.integer import sums_bytes
from vcm.codec.nets.transforms import from_blocks
from vcm.codec.runtime.latent import LatentCoder
from vcm.codec.runtime.precision import Precision
from vcm.errors import BitstreamError

_log = logging.getLogger(__name__)


class Decoder:
    """The decoding half of a codec.

    Args:
        side: of the tiles that g_s works on, in latents, 0 for none; None: by the picture's size.
    """

    def __init__(
        self, model: RoiHyperprior, latents: LatentCoder, precision: Precision, side: int | None
    ):
        self.model, self.latents, self._precision = model, latents, precision
        self._side, self.device = side, precision.device

    def told(
        self, strings: Strings, height: int, width: int, quality: float, side: int | None
    ) -> Control:
        """The control in a file: its quality, and its map if it has one; arguments as for `read`.

        Raises:
            BitstreamError: if the strings cannot belong to such a picture.
        """
        if not strings.map:
            return Control(quality)
        if not self.model.sizes.below:
            raise BitstreamError("section map: this model has one quality per picture")
        h, w = latent_size(height, width)
        self.latents.check(strings, h, w, self._side_of(h, w) if side is None else side)
        return Control(quality, levels.unpack(strings.map, Control(quality).hundredths, h, w))

    @torch.inference_mode()
    def read(
        self, strings: Strings, height: int, width: int, control: Control, side: int | None
    ) -> Tensor:
        """y_hat: (1, M, h, w) int16 in sixteenths of a step, equal to the encoder's.

        Args:
            side: of the tiles that the strings are coded in; None: what our encoder uses.

        Raises:
            BitstreamError: if the strings cannot belong to such a picture.
        """
        h, w = latent_size(height, width)
        side = self._side_of(h, w) if side is None else side
        read = partial(self.latents.read, strings, h, w, self._controls(control), side)
        return self._retried(read)

    @torch.inference_mode()
    def bits_at(
        self, strings: Strings, height: int, width: int, control: Control, side: int
    ) -> Tensor:
        """Bits spent on each block of 16x16 pixels: (h, w) float32; arguments as for `read`."""
        h, w = latent_size(height, width)
        read = partial(self.latents.bits_at, strings, h, w, self._controls(control), side)
        return self._retried(read)

    def _retried(self, attempt: Callable[..., Tensor]) -> Tensor:
        """The result of an attempt; one that fails with byte instructions is repeated in float32.

        Raises:
            BitstreamError: if both fail, so that the fault is the file's.
        """
        try:
            return attempt()
        except BitstreamError as found:
            error = found.with_traceback(None)  # a traceback keeps the first attempt's memory alive
        if not sums_bytes(self.model):
            raise error
        result = attempt(as_bytes=False)
        _log.warning(
            "read at the second attempt: this processor summed bytes wrongly; please report it"
        )
        return result

    @torch.inference_mode()
    def render(self, y_hat: Tensor, height: int, width: int, control: Control) -> Tensor:
        """x_hat: (1, 3, height, width) uint8 on the CPU, channels last, from `read`'s latent."""
        controls, (h, w) = self._controls(control), y_hat.shape[2:]
        x_hat = torch.empty(
            (1, 3, height, width), dtype=torch.uint8, memory_format=torch.channels_last
        )
        for tile in tiles.grid(h, w, self._side_of(h, w)):
            outer = tile.grown(h, w, self.model.sizes.synthesis_reach)
            part = outer.of(y_hat).float() / MEAN_UNIT
            with self._precision.fast():
                part = part.contiguous(memory_format=torch.channels_last)
                part = self.model.decoder.synthesise(part, controls.part(outer))
            target = tile.of(x_hat, STRIDE)
            pixels = from_blocks(_bytes(tile.within(outer).of(part, STRIDE // 8)))
            target.copy_(pixels[..., : target.shape[2], : target.shape[3]])
        return x_hat

    def _controls(self, control: Control) -> Controls:
        return Controls.single(control, self.device)

    def _side_of(self, h: int, w: int) -> int:
        return tiles.side_for(h, w) if self._side is None else self._side


def _bytes(u: Tensor) -> Tensor:
    """Values in [-0.5, 0.5] as uint8; others are clamped, NaN becomes grey."""
    return (u * 255).add_(127.5).nan_to_num_(127.5).clamp_(0, 255).round_().to(torch.uint8)
