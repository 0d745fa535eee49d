"""The built-in words-to-mask network as a task model: it labels each pixel."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.errors import ModelError
from vcm.roi import session
from vcm.roi.embedded import DEFAULT, LONG_SIDE, probabilities
from vcm.roi.vocabulary import vocabulary
from vcm.vision.base import Image, Kind


class WordLabels:
    """Semantic segmentation into the vocabulary's classes, without any extra package.

    If it also makes the masks, ROI and task come from the same network, and scores are flattering.

    Args:
        weights: a safetensors file; None: the one that comes with the package.
        device: as `vcm.device.gpu_of` takes it.

    Raises:
        ModelError: if the file is missing, damaged, of another network, or only for some words.
        SpecError: if the network cannot run on such a device.
    """

    kind: Final[Kind] = "semantic"

    def __init__(self, weights: str | Path | None = None, device: str = "cpu"):
        path = Path(weights or DEFAULT)
        self._run, _, names = session.load(path, device)
        if names != ("", *vocabulary().classes):
            raise ModelError(f"{path}: it has only some of the classes; use the weight file")
        self.names: Final = ("background", *vocabulary().classes)

    def segment(self, image: Image) -> NDArray[np.uint8]:
        """The most probable name of each pixel: (H, W) uint8; image: (H, W, 3) uint8 RGB."""
        height, width = image.shape[:2]
        scale = min(1.0, LONG_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        # one look: where two disagree, their mean would be the background
        p = probabilities(self._run, image, [1.0]).transpose(1, 2, 0)  # (h, w, K + 1)
        labels = cv2.resize(np.ascontiguousarray(p), size).argmax(2).astype(np.uint8)
        full = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return full.astype(np.uint8, copy=False)  # type: ignore[no-any-return]
