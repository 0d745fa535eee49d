"""The words' network as it runs: its weight file in onnxruntime, several times torch's speed."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vcm import weightfile
from vcm.device import gpu_of
from vcm.errors import ModelError
from vcm.ort import Session
from vcm.roi.vocabulary import vocabulary

KIND: Final = "vcm-roi-2"
GRAPH: Final = "graph"  # the tensor that holds the ONNX graph, whose initializers are the others
Planes = NDArray[np.float32]
# Of a picture (1, 3, H, W) float32 in [0, 1], RGB, sides multiples of 32, the probability of "none"
# and of each class: (K + 1, H/4, W/4) float32.
Run = Callable[[Planes], Planes]


def load(path: Path, device: str = "cpu") -> tuple[Run, dict[str, str]]:
    """The network in a weight file, ready to run, and the file's card.

    Args:
        device: as `vcm.device.gpu_of` takes it.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
        SpecError: if there is no such device, or onnxruntime cannot use it.
    """
    session, card = _opened(path, device)

    def run(x: Planes) -> Planes:
        (probabilities,) = session.run({"x": x}, ["probabilities"])
        seen: Planes = probabilities[0]
        return seen

    return run, card


def load_importance(path: Path, device: str = "cpu") -> Run:
    """The network's other output: the log of what each place weighs for detectors.

    It is (1, H/16, W/16) float32, up to a constant of the picture. See `load`.
    """
    session, _ = _opened(path, device)

    def run(x: Planes) -> Planes:
        (importance,) = session.run({"x": x}, ["importance"])
        logs: Planes = importance[0]
        return logs

    return run


def _opened(path: Path, device: str) -> tuple[Session, dict[str, str]]:
    gpu = gpu_of(device)
    tensors, card = weightfile.read(path, KIND)
    classes = len(vocabulary().classes)
    if not {GRAPH, "words"} <= tensors.keys() or len(tensors["words"]) != classes:
        raise ModelError(f"{path}: not weights for {classes} classes; use those of this version")
    graph = tensors.pop(GRAPH).numpy().tobytes()
    weights = {
        name: (t.float() if t.is_floating_point() else t).numpy() for name, t in tensors.items()
    }
    threads = torch.get_num_threads()
    return Session(graph, str(path), threads=threads, weights=weights, gpu=gpu), card
