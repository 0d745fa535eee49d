"""Ultralytics YOLO as a task model. AGPL-3.0: optional, imported only here and when used."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from PIL import Image as pillow

from vcm.device import device_of
from vcm.errors import MissingExtra, ModelError
from vcm.vision.base import CONFIDENCE, MASKED, MOST, Image, Kind, Objects, rle, sorted_objects
from vcm.vision.names import coco_name

KINDS: Final[dict[str, Kind]] = {"detect": "boxes", "segment": "instances"}  # by ultralytics' task


class Yolo:
    """Detector or instance segmenter of an ultralytics checkpoint, at its 640 pixels.

    Args:
        weights: path of a .pt file, or an ultralytics name (which ultralytics downloads).
        device: as `vcm.device.device_of` takes it.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded, or does something else.
        SpecError: if there is no such device.
    """

    def __init__(self, weights: str, device: str = "cpu"):
        self._device: Final = device_of(device)
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
            bgr,
            conf=CONFIDENCE,
            max_det=self._most,
            verbose=False,
            retina_masks=True,
            device=self._device,
        )
        boxes, masks = result.boxes.cpu().numpy(), None
        if self.kind == "instances":
            whole = [] if result.masks is None else result.masks.data.cpu().numpy() > 0.5
            masks = [rle(mask) for mask in whole]
        return sorted_objects(boxes.xyxy, boxes.conf, boxes.cls, masks)


@contextmanager
def _quiet() -> Iterator[None]:
    """What importing ultralytics changes for the whole process is changed back.

    It replaces Pillow's `open` with one that installs packages, keeps OpenCV to one thread, and
    tells child processes to use one as well. It may install what a checkpoint lacks: not here.
    """
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    try:
        Path.home()
    except RuntimeError:  # there is none: its settings go where they are lost
        os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
    pillow_open, threads, told = pillow.open, cv2.getNumThreads(), os.environ.get("OMP_NUM_THREADS")
    try:
        with np.printoptions(), warnings.catch_warnings():
            yield
    finally:
        pillow.open = pillow_open
        cv2.setNumThreads(threads)
        if told is None:
            os.environ.pop("OMP_NUM_THREADS", None)


def load_yolo(weights: str) -> Any:
    """The ultralytics model of a checkpoint, or of a name that it downloads.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded.
    """
    with _quiet():
        try:
            from ultralytics import YOLO
            from ultralytics.utils import events, torch_utils
        except ImportError as error:
            raise MissingExtra("ultralytics", "yolo") from error
    if weights.endswith((".yaml", ".yml")):
        raise ModelError(f"{weights}: a network without weights; expected a checkpoint, a .pt file")
    events.events.enabled = False  # it would tell a server of each prediction
    torch_utils.NUM_THREADS = torch.get_num_threads()  # which `predict` sets for the process
    try:
        model = YOLO(weights)
        model.names  # noqa: B018 - what is no checkpoint fails only when it is asked something
        return model
    except Exception as error:  # a pickle of any kind may be behind the name
        reason = " ".join(str(error).split())
        raise ModelError(f"{weights}: not a YOLO checkpoint that loads ({reason})") from error
