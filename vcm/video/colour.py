"""From RGB frames to what encoders take: sides, matrix, range."""

from typing import Final, NamedTuple

import numpy as np

from vcm.video.clip import Image

HD: Final = 720  # rows from which players take a clip without a word on it for bt709


class Colour(NamedTuple):
    """The matrix and what else says how samples are to be shown.

    Attributes:
        matrix: ffmpeg's name, for its scale filter and its option `colorspace`.
        code: its number in H.273, of which matrix, primaries and transfer have the same.
    """

    matrix: str
    code: int

    @property
    def scale(self) -> str:
        """Arguments of the filter; with rounding: swscale's defaults cost up to 3 dB."""
        flags = "accurate_rnd+full_chroma_int+bicubic"
        return f"out_range=tv:out_color_matrix={self.matrix}:flags={flags}"


def colour_of(height: int) -> Colour:
    """What a clip of so many rows is written in."""
    return Colour("bt709", 1) if height >= HD else Colour("smpte170m", 6)


def padded(image: Image, multiple: int) -> Image:
    """The picture, its last row and column repeated until the sides are multiples."""
    height, width = image.shape[:2]
    margin = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    return np.pad(image, margin, mode="edge") if any(map(any, margin)) else image
