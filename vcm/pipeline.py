"""The whole story: words -> ROI -> file -> picture. Pictures are (H, W, 3) uint8, RGB."""

from vcm.bits import bits_at
from vcm.codec.api import PictureCodec
from vcm.codec.format.strings import Strings, strings_of
from vcm.errors import SpecError
from vcm.packing import Image, check, opened, packer, quality_of
from vcm.roi.acquire import Found, acquire
from vcm.roi.base import Backend
from vcm.roi.mask import OnEmpty, RoiMask
from vcm.roi.tensors import tensors_of
from vcm.roi.text import words_of
from vcm.task import TaskSpec

__all__ = ["Image", "bits_at", "decode", "encode", "find_roi", "quality_of"]


def find_roi(
    image: Image,
    task: TaskSpec,
    backend: Backend,
    on_empty: OnEmpty = "whole",
    found: Found | None = None,
) -> RoiMask:
    """TMA and CVA: the pixels that the task's words name, and the mask values that follow.

    Raises UnknownWord, or SpecError if nothing is found and `on_empty` is "error"; see `acquire`.

    Example:
        >>> task = vcm.find_task("coco-person")
        >>> roi = vcm.find_roi(image.read("photo.jpg"), task, vcm.load_backend("embedded"))
        >>> roi.sigma == task.sigma
        True
    """
    return acquire(
        image, words_of(task), backend, sigma=task.sigma, tau=task.tau, dilation=task.dilation,
        on_empty=on_empty, found=found,
    )  # fmt: skip


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
        quality: 0 to 100, or
        size: bytes that the file should have; the quality is searched for.
        text: stored in the file as it is, if given.
        effort: steps of a search for a better latent, see `Codec.compress`.

    Raises:
        ImageError, SpecError: if the picture or the mask has the wrong shape or type, no quality
            gives that size, or the text or a picture of this size does not fit in a file.

    Example:
        >>> photo = image.read("photo.jpg")
        >>> left = np.arange(photo.shape[1]) < photo.shape[1] // 2
        >>> roi = vcm.RoiMask(np.tile(left, (len(photo), 1)), sigma=0.1, source="the left half")
        >>> data = vcm.encode(photo, roi, vcm.Codec.load(), size=4000)
        >>> abs(len(data) - 4000) < 100 and Path("photo.vcm").write_bytes(data) == len(data)
        True
    """
    check(image, roi)
    if (quality is None) == (size is None):
        raise SpecError("give either a quality or a size in bytes")
    x, m = tensors_of(image, roi)
    file = packer(codec, image.shape, text)
    empty = file(quality or 0, Strings(b"", b""))  # a wrong quality fails here, before the work
    if size is not None:
        return file(*codec.compress_to(x, m, size, len(empty), effort))
    assert quality is not None
    return file(quality, codec.compress(x, m, quality, effort))


def decode(data: bytes, codec: PictureCodec) -> Image:
    """The picture of a .vcm file. It needs no words and no mask.

    Raises BitstreamError if the file is damaged or foreign, ModelError if other weights made it.

    Example:
        >>> codec, photo = vcm.Codec.load(), image.read("photo.jpg")
        >>> everything = vcm.RoiMask(np.ones(photo.shape[:2], bool), sigma=1, source="all")
        >>> picture = vcm.decode(vcm.encode(photo, everything, codec, quality=50), codec)
        >>> picture.shape == photo.shape
        True
    """
    stream, header = opened(data, codec)
    quality = header.quality / 100
    x_hat = codec.decompress(strings_of(stream), header.height, header.width, quality, header.tile)
    return x_hat[0].permute(1, 2, 0).numpy()
