"""From strings to the bytes of a .vcm file and back, whichever codec made the strings."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vcm import container
from vcm.codec.format.control import Control
from vcm.codec.format.strings import Strings
from vcm.container import Bitstream, Header
from vcm.errors import BitstreamError, ImageError, ModelError, SpecError
from vcm.roi.mask import RoiMask
from vcm.weightfile import named

Image = NDArray[np.uint8]  # (H, W, 3) RGB


class Maker(Protocol):
    """What a file has to record about the codec that made it."""

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that name what a decoder needs."""
        ...

    def side_of(self, height: int, width: int) -> int:
        """Side, in latents, of the tiles that a picture of this size is coded in; 0: no tiles."""
        ...


def check(image: Image, roi: RoiMask) -> None:
    """Refuse what cannot be coded.

    Raises:
        ImageError: if the picture is not (H, W, 3) uint8.
        SpecError: if the mask has another size.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"expected a picture of (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if roi.roi.shape != image.shape[:2]:
        raise SpecError(f"mask: expected {image.shape[:2]} (H, W), got {roi.roi.shape}")


def packer(
    maker: Maker, size: tuple[int, ...], text: str | None
) -> Callable[[float, Strings], bytes]:
    """A function that makes the bytes of a file from a quality and strings.

    Args:
        size: (H, W, ...) of the picture.
        text: stored in the file as it is, if given.

    Raises:
        SpecError: if the text or a picture of this size does not fit in a file; raised by this
            call, so before the picture is coded.
    """
    height, width = size[:2]
    tile = maker.side_of(height, width)

    def file(quality: float, strings: Strings) -> bytes:
        header = Header(maker.fingerprint, height, width, Control(quality).hundredths, tile)
        return container.pack(Bitstream(header, strings.z, strings.y, text, strings.map))

    try:
        file(0, Strings(b"", b""))
    except BitstreamError as error:
        raise SpecError(f"a file cannot hold this: {error}") from error
    return file


def opened(data: bytes, codec: Maker) -> tuple[Bitstream, Header]:
    """The contents of a .vcm file and its header, once its fingerprint is known to fit the codec.

    Raises:
        BitstreamError: if the file is damaged or foreign.
        ModelError: if it was written with other weights than those of the codec.
    """
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


def quality_of(data: bytes) -> float:
    """The quality that a .vcm file was written with, 0 to 100."""
    return container.unpack(data).header.quality / 100
