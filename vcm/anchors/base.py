"""What every anchor codec can do."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB


class Readable(Protocol):
    """What every anchor has, whatever its encoder is told.

    Attributes:
        name: for tables and plots.
        settings: values of its own rate control from few bits to many, about 0.05 to 2 bpp.
    """

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> tuple[int, ...]: ...

    def decode(self, data: bytes, height: int, width: int) -> Image:
        """The picture of a file: (height, width, 3) uint8, RGB."""


class Anchor(Readable, Protocol):
    """A codec whose rate is the size of a file."""

    def encode(self, image: Image, setting: int) -> bytes:
        """The file of a picture at one of its settings.

        Raises:
            MissingExtra: if the program that does it is not installed.
        """
