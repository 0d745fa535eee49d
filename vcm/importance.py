"""What a task model looks at, as mask values: where an error matters to it, and how much."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vcm.models import load_teacher
from vcm.roi import weights as network
from vcm.roi.embedded import DEFAULT, seen
from vcm.roi.mask import RoiMask
from vcm.vision.importance import BLOCK, importance

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Places = NDArray[np.float32]  # (h, w), any grid over the whole picture
LEARNED: Final = "learned"
SIDE: Final = 640  # pixels; longer side of the picture as a task model is asked
PROJECTIONS: Final = 8  # of its features
# A weight of the squared error is a mask value's square. Estimates from few projections are rough
# and weights span four decades, so values are their fourth root, as in the first trial.
POWER: Final = 0.25
TOP: Final = 99.0  # percentile of the weights that has the value 1


class Importance:
    """Gives each place of a picture a mask value by what a task model makes of it.

    Args:
        name: a task model, as `vcm.models.load_teacher` takes it, or "learned": what the built-in
            words' network has learnt of detectors, which needs none of them.
        device: as `vcm.models.load_model` takes it.

    Raises:
        SpecError: if no gradients reach the pixels of such a model.
        ModelError, MissingExtra: if it cannot be loaded.

    Example:
        >>> photo = image.read("photo.jpg")
        >>> everything = vcm.RoiMask(np.ones(photo.shape[:2], bool), sigma=0.1, source="all")
        >>> mask = Importance("learned").applied(photo, everything)
        >>> 0.1 <= mask.values.min() < mask.values.max() == 1
        True
    """

    def __init__(self, name: str, device: str = "cpu"):
        self.name: Final = name
        self._weights: Final = _learned(device) if name == LEARNED else _asked(name, device)
        self._last: tuple[Image, Places] | None = None  # one picture is coded at many rates

    def values(self, image: Image) -> Places:
        """A value of each 16-pixel square: (ceil(H/16), ceil(W/16)) float32 in [0, 1].

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        if self._last is None or self._last[0] is not image:
            self._last = image, _values(self._weights(image), image.shape[0], image.shape[1])
        return self._last[1]

    def applied(self, image: Image, mask: RoiMask) -> RoiMask:
        """The mask, whose values inside are multiplied by those of the picture."""
        height, width = mask.roi.shape
        own = self.values(image).astype(np.float16).repeat(BLOCK, 0).repeat(BLOCK, 1)
        inside = mask.inside * own[:height, :width]
        return RoiMask(inside, mask.sigma, f"{mask.source}, importance by {self.name}")


def _values(weights: Places, height: int, width: int) -> Places:
    """Values of a picture's squares from weights on another grid."""
    h, w = -(-height // BLOCK), -(-width // BLOCK)
    shrink = cv2.INTER_AREA if h < len(weights) else cv2.INTER_LINEAR
    fitted = cv2.resize(weights, (w, h), interpolation=shrink)
    most = max(float(np.percentile(fitted, TOP)), float(np.finfo(np.float32).tiny))
    values: Places = (fitted / most).clip(0, 1) ** np.float32(POWER)
    return values


def _learned(device: str) -> Callable[[Image], Places]:
    run = network.importance(DEFAULT, device)
    return lambda image: np.exp(seen(run, image, 1.0)[0])


def _asked(name: str, device: str) -> Callable[[Image], Places]:
    model = load_teacher(name, device)

    def weights(image: Image) -> Places:
        scale = min(1.0, SIDE / max(image.shape[:2]))
        h, w = (max(32, 32 * round(n * scale / 32)) for n in image.shape[:2])
        small = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        x = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255  # (1, 3, h, w)
        seed = torch.Generator().manual_seed(0)  # the same picture has the same values
        found: Places = importance(model, x, PROJECTIONS, seed)[0].numpy()
        return found

    return weights
