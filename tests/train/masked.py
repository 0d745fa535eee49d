"""A task model that finds one object, as a mask."""

import numpy as np

from vcm.vision.base import Objects, rle


class Masked:
    kind = "instances"
    names = ("thing",)

    def detect(self, image):
        box, one = np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32)
        mask = np.zeros(image.shape[:2], bool)
        return Objects(box, one, np.zeros(1, np.int64), [rle(mask)])
