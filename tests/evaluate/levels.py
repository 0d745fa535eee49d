"""A codec whose results can be worked out by hand, as a class of one's own."""

import io

import numpy as np
from PIL import Image


class Levels:
    """PNG of fewer levels; the setting is their number. With the fewest the picture slips."""

    name, settings = "levels", (4, 16, 256)

    def encode(self, image, setting):
        step = 256 // setting
        image = np.roll(image, 6 if setting == 4 else 0, 1)
        buffer = io.BytesIO()
        Image.fromarray(image // step * step + step // 2).save(buffer, "PNG")
        return buffer.getvalue()

    def decode(self, data, height, width):
        return np.asarray(Image.open(io.BytesIO(data)))
