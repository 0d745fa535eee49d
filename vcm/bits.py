"""Where the bits of a file went."""

import numpy as np
from numpy.typing import NDArray

from vcm.codec.api import PictureCodec
from vcm.codec.format.strings import strings_of
from vcm.packing import opened


def bits_at(data: bytes, codec: PictureCodec) -> NDArray[np.float32]:
    """Where the bits of a .vcm file went: (ceil(H/16), ceil(W/16)) float32, bits of each square.

    Raises:
        BitstreamError, ModelError: as `decode`.
        SpecError: if the codec is a published one, whose files do not tell that.
    """
    stream, header = opened(data, codec)
    bits = codec.bits_at(
        strings_of(stream), header.height, header.width, header.quality / 100, header.tile
    )
    return bits.numpy()
