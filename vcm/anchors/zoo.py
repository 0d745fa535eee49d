"""CompressAI's pretrained models as anchors: their real compress and decompress."""

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.anchors.base import Image
from vcm.errors import ModelError

QUALITIES: Final = {  # of the weights that are published, trained for MSE
    "bmshj2018-hyperprior": 8,
    "mbt2018-mean": 8,
    "mbt2018": 8,
    "cheng2020-anchor": 6,
}
STRIDE: Final = 64
HEAD: Final = struct.Struct("<BHHI")
Load = Callable[[str, int], Any]


def pretrained(name: str, quality: int) -> Any:
    """A model of CompressAI's zoo, downloaded by it once.

    Raises:
        ModelError: if it cannot be had.
    """
    from compressai.zoo import image_models

    try:
        return image_models[name](quality, metric="mse", pretrained=True, progress=False).eval()
    except OSError as error:
        raise ModelError(
            f"{name}, quality {quality}: its weights could not be downloaded ({error}); "
            f"leave this codec out, or run where there is a network once"
        ) from error


class Zoo:
    """One model a quality; its file is height, width of z and the two strings.

    Args:
        load: what makes the model of a name and a quality.
    """

    def __init__(self, name: str, load: Load = pretrained):
        if name not in QUALITIES:
            raise ModelError(f"expected one of {', '.join(QUALITIES)}, got {name!r}")
        self.name = name
        self.settings = tuple(range(1, QUALITIES[name] + 1))
        self._model = cache(lambda quality: load(name, quality))

    @torch.inference_mode()
    def encode(self, image: Image, setting: int) -> bytes:
        """The file: setting (1 byte), shape of z (2, 2), length of y (4), then y and z."""
        x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
        padding = (0, -image.shape[1] % STRIDE, 0, -image.shape[0] % STRIDE)
        coded = self._model(setting).compress(F.pad(x, padding, mode="replicate"))
        (y,), (z,) = coded["strings"]
        return HEAD.pack(setting, *coded["shape"], len(y)) + bytes(y) + bytes(z)

    @torch.inference_mode()
    def decode(self, data: bytes, height: int, width: int) -> Image:
        """The picture: (height, width, 3) uint8, RGB."""
        setting, h, w, length = HEAD.unpack_from(data)
        y, z = data[HEAD.size : HEAD.size + length], data[HEAD.size + length :]
        x_hat: Tensor = self._model(setting).decompress([[y], [z]], (h, w))["x_hat"]
        whole = (x_hat[0, :, :height, :width].clamp(0, 1) * 255).round().byte()
        return whole.permute(1, 2, 0).numpy()
