"""The strings of a coded picture."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.coder import Coder
from vcm.codec.format.constants import Z_MAX, z_size
from vcm.codec.format.walk import z_rows
from vcm.container import Bitstream
from vcm.errors import BitstreamError


class Strings(NamedTuple):
    """A coded picture: the bytes of z, of y, and of the map (see `levels`; b"" for no map)."""

    z: bytes
    y: bytes
    map: bytes = b""

    @property
    def length(self) -> int:
        """Bytes of all three."""
        return len(self.z) + len(self.y) + len(self.map)


def strings_of(stream: Bitstream) -> Strings:
    """The strings of a file, with the byte order of version 2.

    Raises:
        BitstreamError: if those of a version 1 file are not whole 32-bit words.
    """
    z, y = stream.z, stream.y
    if stream.version == 1:
        z, y = _turned(z), _turned(y)
    return Strings(z, y, stream.map)


def _turned(data: bytes) -> bytes:
    if len(data) % 4:
        raise BitstreamError(f"string: expected whole 32-bit words, got {len(data)} bytes")
    return np.frombuffer(data, "<u4").byteswap().tobytes()


def read_z(coder: Coder, data: bytes, channels: int, h: int, w: int) -> NDArray[np.int16]:
    """z_hat of a latent of (h, w): (channels, ceil(h/4), ceil(w/4)), integers in [-15, 15].

    Raises:
        BitstreamError: if the string cannot belong to such a latent; one that is too short is
            refused before memory is allocated.
    """
    shape = channels, *z_size(h, w)
    reader = coder.reader(data)
    reader.check_room(shape[1] * shape[2])
    symbols = reader.read(z_rows(*shape))
    reader.end()
    return symbols.reshape(shape).clip(-Z_MAX, Z_MAX)
