"""The two strings of a coded picture."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.coder import Coder
from vcm.codec.format.constants import Z_MAX, z_size
from vcm.codec.format.walk import z_rows


class Strings(NamedTuple):
    """A coded picture: the bytes of z and of y."""

    z: bytes
    y: bytes

    @property
    def length(self) -> int:
        """Bytes, both together."""
        return len(self.z) + len(self.y)


def read_z(coder: Coder, data: bytes, channels: int, h: int, w: int) -> NDArray[np.int16]:
    """z_hat of a latent of (h, w): (channels, ceil(h/4), ceil(w/4)), integers in [-15, 15].

    Raises:
        BitstreamError: if the string cannot be of such a latent; found out before memory is taken.
    """
    shape = channels, *z_size(h, w)
    reader = coder.reader(data)
    reader.check_room(shape[1] * shape[2])
    symbols = reader.read(z_rows(*shape))
    reader.end()
    return symbols.reshape(shape).clip(-Z_MAX, Z_MAX)
