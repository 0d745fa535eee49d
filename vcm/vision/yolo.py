"""Ultralytics YOLO as a task model. AGPL-3.0: optional, imported only here and when used."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vcm.errors import MissingExtra, ModelError


class Detection(NamedTuple):
    """One found object.

    Attributes:
        box: x1, y1, x2, y2 in pixels, half-open.
        name: its class.
        score: confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    name: str
    score: float


class Yolo:
    """A detector of an ultralytics checkpoint.

    Args:
        weights: path of a .pt file, or an ultralytics name (which ultralytics downloads).

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded.
    """

    def __init__(self, weights: str):
        self._model = load_yolo(weights)

    def detect(self, image: NDArray[np.uint8], confidence: float = 0.25) -> list[Detection]:
        """Objects in a picture, most confident first; image: (H, W, 3) uint8 RGB."""
        bgr = np.ascontiguousarray(image[..., ::-1])  # ultralytics takes arrays as OpenCV's BGR
        (result,) = self._model.predict(bgr, conf=confidence, verbose=False)
        boxes = result.boxes
        rows = zip(boxes.xyxy.tolist(), boxes.cls.tolist(), boxes.conf.tolist(), strict=True)
        found = [Detection(tuple(xyxy), result.names[int(c)], score) for xyxy, c, score in rows]
        return sorted(found, key=lambda d: -d.score)


def load_yolo(weights: str) -> Any:
    """The ultralytics model of a checkpoint, or of a name that it downloads.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded.
    """
    pillow_open = Image.open
    try:
        from ultralytics import YOLO
    except ImportError as error:
        raise MissingExtra("ultralytics", "yolo") from error
    finally:  # its import replaces Pillow's own with one that installs packages
        Image.open = pillow_open
    try:
        model = YOLO(weights)
        model.names  # noqa: B018 - what is no checkpoint fails only when it is asked something
        return model
    except Exception as error:  # a pickle of any kind may be behind the name
        reason = " ".join(str(error).split())
        raise ModelError(f"{weights}: not a YOLO checkpoint that loads ({reason})") from error
