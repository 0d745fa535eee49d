"""The whole story: words -> ROI -> file -> picture."""

import numpy as np
import torch
from numpy.typing import NDArray

from vcm import bitstream
from vcm.bitstream import Bitstream, Header
from vcm.codec.codec import Codec
from vcm.codec.latent import Strings
from vcm.codec.lma import TwoValues
from vcm.codec.model import hundredths_of, latent_size
from vcm.errors import ImageError, ModelError, SpecError
from vcm.roi.acquire import acquire
from vcm.roi.base import Backend
from vcm.roi.mask import RoiMask
from vcm.roi.text import Words
from vcm.task import TaskSpec

Image = NDArray[np.uint8]  # (H, W, 3) RGB
TRIES, NEAR = 4, 0.02  # to meet a size


def find_roi(image: Image, task: TaskSpec, backend: Backend) -> RoiMask:
    """TMA and CVA: what the task's words show in the picture, with its mask values.

    Args:
        image: (H, W, 3) uint8, RGB.

    Raises:
        UnknownWord: if the backend does not know a word.

    Example:
        >>> photo = image.read("photo.jpg")
        >>> task = vcm.find_task("coco-person")
        >>> roi = vcm.find_roi(photo, task, vcm.load_backend("embedded"))
        >>> roi.sigma == task.sigma
        True
    """
    words = Words(task.phrases, task.exclude)
    return acquire(image, words, backend, tau=task.tau, sigma=task.sigma, dilation=task.dilation)


def encode(
    image: Image,
    roi: RoiMask,
    codec: Codec,
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
        SpecError: if the mask does not fit, both or none of quality and size are given, or no
            quality gives such a size.

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
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"expected a picture of (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if roi.roi.shape != image.shape[:2]:
        raise SpecError(f"mask: expected {image.shape[:2]} (H, W), got {roi.roi.shape}")
    if (quality is None) == (size is None):
        raise SpecError("give either a quality or a size in bytes")
    plain = np.require(image, requirements=["C", "W"])  # torch takes no other array
    x = torch.from_numpy(plain).permute(2, 0, 1)[None]  # (1, 3, H, W)
    inside = np.require(roi.roi, requirements=["C", "W"])
    m = TwoValues(torch.from_numpy(inside)[None, None], roi.outside)  # (1, 1, H, W)
    height, width = image.shape[:2]
    tile = codec.encoder.side(*latent_size(height, width))

    def file(quality: float, strings: Strings) -> bytes:
        header = Header(codec.fingerprint, height, width, hundredths_of(quality), tile)
        return bitstream.pack(Bitstream(header, strings.z, strings.y, text))

    if quality is not None:
        return file(quality, codec.compress(x, m, quality, effort))
    assert size is not None
    head, wanted = len(file(0, Strings(b"", b""))), float(size)
    best = b""
    for _ in range(TRIES):  # a quality by the entropy estimate, then a look at the real file
        try:
            quality = codec.encoder.quality_for(x, m, wanted, head)
        except SpecError:
            if not best:
                raise
            break  # no quality's file is so large, or so small
        data = file(quality, codec.compress(x, m, quality, effort))
        best = min(best or data, data, key=lambda d: abs(len(d) - size))
        if abs(len(data) / size - 1) < NEAR:
            break
        wanted *= size / len(data)  # the estimate knows nothing of effort's gain, or of whole words
    return best


def decode(data: bytes, codec: Codec) -> Image:
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
    strings = Strings(stream.z, stream.y)
    x_hat = codec.decompress(
        strings, header.height, header.width, header.quality / 100, header.tile
    )
    return x_hat[0].permute(1, 2, 0).numpy()


def bits_at(data: bytes, codec: Codec) -> NDArray[np.float32]:
    """Where the bits of a .vcm file went: (ceil(H/16), ceil(W/16)) float32, bits of each square.

    Raises:
        BitstreamError, ModelError: as `decode`.
        SpecError: if the codec is a published one, whose files do not tell.
    """
    stream, header = _checked(data, codec)
    if not hasattr(codec, "decoder"):
        raise SpecError("where the bits went: files of published models do not tell")
    bits = codec.decoder.bits_at(
        Strings(stream.z, stream.y), header.height, header.width, header.quality / 100, header.tile
    )
    return bits.numpy()


def quality_of(data: bytes) -> float:
    """The quality that a .vcm file was written with, 0 to 100."""
    return bitstream.unpack(data).header.quality / 100


def _checked(data: bytes, codec: Codec) -> tuple[Bitstream, Header]:
    stream = bitstream.unpack(data)
    header = stream.header
    if header.fingerprint != codec.fingerprint:
        raise ModelError(
            f"the file was made with the model {header.fingerprint.hex()}, the loaded one is "
            f"{codec.fingerprint.hex()}; name its weights with --weights"
        )
    return stream, header
