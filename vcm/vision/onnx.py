"""PicoDet in an ONNX file as a task model: a small detector of COCO's classes."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms

from vcm.device import gpu_of
from vcm.errors import ModelError
from vcm.ort import Session
from vcm.vision.base import Image, Kind, Objects, sorted_objects
from vcm.vision.names import COCO

STRIDES: Final = (8, 16, 32, 64)
BINS: Final = 8  # of the distribution over an edge's distance, in strides
CANDIDATES: Final = 2_000  # the most confident ones: enough for the 300 that are kept
IOU: Final = 0.6  # of two boxes of a class that show the same object
MEAN: Final = np.array([103.53, 116.28, 123.675], np.float32)  # of ImageNet, BGR
STD: Final = np.array([57.375, 57.12, 58.395], np.float32)

Floats = NDArray[np.float32]


class PicoDet:
    """Detector in the form that PaddleDetection exports without its post-processing.

    Input (1, 3, S, S'); outputs, for strides 8 to 64, four maps of class scores (1, P, 80), then
    four of edge distances (1, P, 4 x 8).

    Source: Yu et al. 2021, arXiv:2111.00902. The picture is prepared as in PaddleDetection's own
    deployment code, whose score is the one that is known: BGR, resized without regard to its shape,
    an IoU of 0.6, and of each place the best class alone. (RGB and all classes score 2.7 points of
    AP more on coco213, so scores of this adapter are of the deployed detector, not of the best.)

    Args:
        weights: path of an .onnx file.
        device: as `vcm.device.gpu_of` takes it.

    Raises:
        SpecError: if there is no such device, or onnxruntime cannot use it.
        ModelError: if the file is missing or holds another network.
    """

    kind: Final[Kind] = "boxes"
    names: Final = COCO

    def __init__(self, weights: str, device: str = "cpu"):
        gpu = gpu_of(device)
        self._net = Session(Path(weights), weights, threads=torch.get_num_threads(), gpu=gpu)
        self._height, self._width = _checked(weights, self._net)
        self._points: Final = _points(self._height, self._width)

    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more, at most 300; image: (H, W, 3) uint8 RGB."""
        size = self._width, self._height
        x = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        x = ((x[..., ::-1] - MEAN) / STD).transpose(2, 0, 1)[None]
        outputs = self._net.run({next(iter(self._net.inputs)): x})
        scores, edges = (np.concatenate(maps, 1)[0] for maps in (outputs[:4], outputs[4:]))
        height, width = image.shape[:2]
        scale = np.array([width / self._width, height / self._height] * 2, np.float32)
        found = _chosen(_boxes(edges, self._points) * scale, scores)
        whole = np.array([width, height] * 2, np.float32)
        return found._replace(boxes=found.boxes.clip(0, whole))


def _checked(path: str, net: Session) -> tuple[int, int]:
    """Height and width of its input, if its inputs and outputs are PicoDet's."""
    inputs, outputs = list(net.inputs.values()), list(net.outputs.values())
    fits = len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][1] == 3
    height, width = inputs[0][2:] if fits else (0, 0)
    if not (isinstance(height, int) and isinstance(width, int) and height and width):
        raise ModelError(f"{path}: expected one input (1, 3, height, width), got {inputs}")
    places = [h * w for h, w in _grids(height, width)]
    expected = [(1, p, last) for last in (len(COCO), 4 * BINS) for p in places]
    if outputs != expected:
        raise ModelError(f"{path}: expected PicoDet's outputs {expected}, got {outputs}")
    return height, width


def _grids(height: int, width: int) -> list[tuple[int, int]]:
    """Rows and columns of the map of each stride."""
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


def _points(height: int, width: int) -> Floats:
    """x, y in pixels of the input and stride, of each place of each map: (P, 3) float32."""
    places = []
    for stride, grid in zip(STRIDES, _grids(height, width), strict=True):
        y, x = np.indices(grid).reshape(2, -1)
        places.append(np.stack([(x + 0.5) * stride, (y + 0.5) * stride, np.full(len(x), stride)]))
    return np.concatenate(places, 1).T.astype(np.float32)  # type: ignore[no-any-return]


def _boxes(edges: Floats, points: Floats) -> Floats:
    """x1, y1, x2, y2 in pixels of the input: (P, 4); an edge is as far as its bins say on average.

    Source: Li et al. 2020, arXiv:2006.04388, eq. 4.
    """
    logits = edges.reshape(-1, 4, BINS)
    p = np.exp(logits - logits.max(2, keepdims=True))
    bins = np.arange(BINS, dtype=np.float32)
    distances = (p @ bins) / p.sum(2) * points[:, 2:]  # (P, 4): left, top, right, bottom
    near, far = points[:, :2] - distances[:, :2], points[:, :2] + distances[:, 2:]
    return np.concatenate([near, far], 1)


def _chosen(boxes: Floats, scores: Floats) -> Objects:
    """One box for each object: of those of a class that overlap the most confident."""
    places = np.argsort(-scores.max(1), kind="stable")[:CANDIDATES]
    labels = scores[places].argmax(1)
    sure, where = scores[places, labels], boxes[places]
    keep = batched_nms(*(torch.from_numpy(a) for a in (where, sure, labels)), IOU).numpy()
    return sorted_objects(where[keep], sure[keep], labels[keep])
