"""The whole story: words -> ROI -> file -> picture."""

import numpy as np
import torch
from numpy.typing import NDArray

from vcm import container
from vcm.codec.api import PictureCodec
from vcm.codec.format.strings import Strings, strings_of
from vcm.codec.nets.lma import TwoValues
from vcm.container import Bitstream, Header
from vcm.errors import ModelError, SpecError
from vcm.packing import Image, check, packer
from vcm.roi.acquire import Found, acquire
from vcm.roi.base import Backend
from vcm.roi.mask import OnEmpty, RoiMask
from vcm.roi.text import words_of
from vcm.task import TaskSpec
from vcm.weightfile import named

__all__ = ["Image", "bits_at", "decode", "encode", "find_roi", "quality_of"]


def find_roi(
    image: Image,
    task: TaskSpec,
    backend: Backend,
    on_empty: OnEmpty = "whole",
    found: Found | None = None,
) -> RoiMask:
    """TMA and CVA: what the task's words show in the picture, with its mask values.

    Args:
        image: (H, W, 3) uint8, RGB.
        on_empty: what becomes of a picture that shows none of it, see `acquire`.
        found: by `look` with the task's words, if that was asked already.

    Raises:
        UnknownWord: if the backend does not know a word.
        SpecError: if nothing is found and that is an error.

    Example:
        >>> photo = image.read("photo.jpg")
        >>> task = vcm.find_task("coco-person")
        >>> roi = vcm.find_roi(photo, task, vcm.load_backend("embedded"))
        >>> roi.sigma == task.sigma
        True
    """
    return acquire(
        image,
        words_of(task),
        backend,
        sigma=task.sigma,
        tau=task.tau,
        dilation=task.dilation,
        on_empty=on_empty,
        found=found,
    )


def encode(
    image: Image,
    roi: RoiMask,
    codec: PictureCodec,
    *,
    quality: float | None = None,
    size: int | None = None,
    text: str | None = None,
    effort: int = 0,
) -> bytes:
    """The .vcm file of a picture, its bits spent where the mask says.

    Args:
        image: (H, W, 3) uint8, RGB.
        roi: mask of the same height and width.
        quality: 0 to 100, or
        size: bytes that the file should have; the quality is searched.
        text: stored in the file as it is, if given.
        effort: steps of a search for a better latent, see `Codec.compress`.

    Raises:
        ImageError: if the picture is not as above.
        SpecError: if the mask does not fit, both or none of quality and size are given, no quality
            gives such a size, or a file holds no such text or so large a picture.

    Example:
        A mask of one's own, and a file. `vcm.image` reads and writes pictures of any format.

        >>> photo = image.read("photo.jpg")
        >>> left = np.zeros(photo.shape[:2], bool)
        >>> left[:, : photo.shape[1] // 2] = True
        >>> roi = vcm.RoiMask(left, sigma=0.1, source="the left half")
        >>> codec = vcm.Codec.load()
        >>> data = vcm.encode(photo, roi, codec, size=4000)
        >>> abs(len(data) - 4000) < 100
        True
        >>> Path("photo.vcm").write_bytes(data) == len(data)
        True
    """
    check(image, roi)
    if (quality is None) == (size is None):
        raise SpecError("give either a quality or a size in bytes")
    plain = np.require(image, requirements=["C", "W"])  # torch takes no other array
    x = torch.from_numpy(plain).permute(2, 0, 1)[None]  # (1, 3, H, W)
    m = _values(roi)
    file = packer(codec, image.shape, text)
    empty = file(quality or 0, Strings(b"", b""))  # refuses a quality now, not after the work
    if size is None:
        assert quality is not None
        return file(quality, codec.compress(x, m, quality, effort))
    return file(*codec.compress_to(x, m, size, len(empty), effort))


def _values(roi: RoiMask) -> torch.Tensor | TwoValues:
    """The mask values as codecs take them: (1, 1, H, W)."""
    if roi.two_valued:
        inside = np.require(roi.roi, requirements=["C", "W"])
        return TwoValues(torch.from_numpy(inside)[None, None], roi.outside)
    return torch.from_numpy(roi.values)[None, None]


def decode(data: bytes, codec: PictureCodec) -> Image:
    """The picture of a .vcm file: (H, W, 3) uint8, RGB. Needs no words, no mask.

    Raises:
        BitstreamError: if the file is damaged or foreign.
        ModelError: if it was written with other weights.

    Example:
        >>> codec = vcm.Codec.load()
        >>> photo = image.read("photo.jpg")
        >>> everything = vcm.RoiMask(np.ones(photo.shape[:2], bool), sigma=1, source="all")
        >>> data = vcm.encode(photo, everything, codec, quality=50)
        >>> picture = vcm.decode(data, codec)
        >>> picture.shape == photo.shape
        True
        >>> image.write("decoded.png", picture)
    """
    stream, header = _checked(data, codec)
    x_hat = codec.decompress(
        strings_of(stream), header.height, header.width, header.quality / 100, header.tile
    )
    return x_hat[0].permute(1, 2, 0).numpy()


def bits_at(data: bytes, codec: PictureCodec) -> NDArray[np.float32]:
    """Where the bits of a .vcm file went: (ceil(H/16), ceil(W/16)) float32, bits of each square.

    Raises:
        BitstreamError, ModelError: as `decode`.
        SpecError: if the codec is a published one, whose files do not tell.
    """
    stream, header = _checked(data, codec)
    bits = codec.bits_at(
        strings_of(stream), header.height, header.width, header.quality / 100, header.tile
    )
    return bits.numpy()


def quality_of(data: bytes) -> float:
    """The quality that a .vcm file was written with, 0 to 100."""
    return container.unpack(data).header.quality / 100


def _checked(data: bytes, codec: PictureCodec) -> tuple[Bitstream, Header]:
    stream = container.unpack(data)
    header = stream.header
    if header.fingerprint != codec.fingerprint:
        name = named(header.fingerprint.hex())
        known = f" ({name})" if name else ""
        raise ModelError(
            f"the file was made with the model {header.fingerprint.hex()}{known}, the loaded one "
            f"is {codec.fingerprint.hex()}",
            hint="weights",
        )
    return stream, header
