"""DeepLab in a TensorFlow Lite file as a task model: what each pixel shows, of VOC's classes."""

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.device import device_of
from vcm.errors import MissingExtra, ModelError, SpecError
from vcm.vision.base import Kind

NAMES: Final = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep",
    "couch", "train", "tv",
)  # fmt: skip
GREY: Final = 127  # beside the picture: what the networks were trained with


class DeepLab:
    """Semantic segmentation, (1, S, S, 3) uint8 RGB in, (1, S, S) labels out.

    Source: Chen et al. 2018, arXiv:1802.02611. Pictures keep their shape, as in the authors' demo.

    Args:
        path: a .tflite file.
        device: "cpu" or "auto": such files run on the processor.

    Raises:
        SpecError: if it is another device.
        MissingExtra: if ai-edge-litert is not installed.
        ModelError: if the file is missing or no such network.
    """

    kind: Final[Kind] = "semantic"
    names: Final = NAMES

    def __init__(self, path: str | Path, threads: int = 1, device: str = "cpu"):
        if device != "auto" and device_of(device).type != "cpu":
            raise SpecError(f"device {device}: {path} runs on the processor only; use auto")
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtra("ai-edge-litert", "tflite") from error
        try:
            self._net: Any = Interpreter(model_path=str(path), num_threads=threads)
            self._net.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: not a TensorFlow Lite file that can be run") from error
        (self._input,), (self._output, *_) = (
            self._net.get_input_details(),
            self._net.get_output_details(),
        )
        shape = tuple(self._input["shape"])
        if len(shape) != 4 or shape[3] != 3 or self._input["dtype"] != np.uint8:
            raise ModelError(f"{path}: expected a network of uint8 pictures, got {shape}")
        side, given = shape[1], tuple(self._output["shape"])
        is_labels = np.issubdtype(self._output["dtype"], np.integer)
        if shape[2] != side or not is_labels or int(np.prod(given)) != side**2:
            raise ModelError(
                f"{path}: expected whole labels of square pictures, got {given} "
                f"{np.dtype(self._output['dtype'])} of {shape}"
            )

    def segment(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Label of each pixel: (H, W) uint8, 0 background, 1 to 20 as in VOC.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        height, width = image.shape[:2]
        side = int(self._input["shape"][1])
        scale = side / max(height, width)
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        framed = np.full((1, side, side, 3), GREY, np.uint8)
        framed[0, :h, :w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        self._net.set_tensor(self._input["index"], framed)
        self._net.invoke()
        labels = self._net.get_tensor(self._output["index"]).reshape(side, side)[:h, :w]
        labels = labels.astype(np.uint8)
        full = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return full.astype(np.uint8, copy=False)  # type: ignore[no-any-return]
