"""Ultralytics YOLO as a task model. AGPL-3.0: optional, imported only here and when used."""

from typing import Any, Final

import numpy as np
import torch
from PIL import Image as pillow

from vcm.errors import MissingExtra, ModelError
from vcm.vision.base import CONFIDENCE, MOST, Image, Kind, Objects, rle, sorted_objects
from vcm.vision.names import coco_name

MASKED: Final = 100  # objects of a picture with masks, as is usual: most of the time goes there
KINDS: Final[dict[str, Kind]] = {"detect": "boxes", "segment": "instances"}  # by ultralytics' task


class Yolo:
    """Detector or instance segmenter of an ultralytics checkpoint, at its 640 pixels.

    Args:
        weights: path of a .pt file, or an ultralytics name (which ultralytics downloads).

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded, or does something else.
    """

    def __init__(self, weights: str):
        self._model = load_yolo(weights)
        if self._model.task not in KINDS:
            raise ModelError(
                f"{weights}: expected a YOLO detector or segmenter, got one for {self._model.task}"
            )
        self.kind: Final = KINDS[self._model.task]
        self._most: Final = MOST if self.kind == "boxes" else MASKED
        names = self._model.names
        self.names: Final = tuple(coco_name(names[i]) for i in sorted(names))

    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more; image: (H, W, 3) uint8 RGB.

        At most 300, or 100 with masks.
        """
        bgr = np.ascontiguousarray(image[..., ::-1])  # ultralytics takes arrays as OpenCV's BGR
        (result,) = self._model.predict(
            bgr, conf=CONFIDENCE, max_det=self._most, verbose=False, retina_masks=True
        )
        boxes, masks = result.boxes.cpu().numpy(), None
        if self.kind == "instances":
            whole = [] if result.masks is None else result.masks.data.cpu().numpy() > 0.5
            masks = [rle(mask) for mask in whole]
        return sorted_objects(boxes.xyxy, boxes.conf, boxes.cls, masks)


def load_yolo(weights: str) -> Any:
    """The ultralytics model of a checkpoint, or of a name that it downloads.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded.
    """
    pillow_open = pillow.open
    try:
        from ultralytics import YOLO
        from ultralytics.utils import torch_utils
    except ImportError as error:
        raise MissingExtra("ultralytics", "yolo") from error
    finally:  # its import replaces Pillow's own with one that installs packages
        pillow.open = pillow_open
    torch_utils.NUM_THREADS = torch.get_num_threads()  # which `predict` sets for the process
    try:
        model = YOLO(weights)
        model.names  # noqa: B018 - what is no checkpoint fails only when it is asked something
        return model
    except Exception as error:  # a pickle of any kind may be behind the name
        reason = " ".join(str(error).split())
        raise ModelError(f"{weights}: not a YOLO checkpoint that loads ({reason})") from error
