"""The words' network of a weight file, in onnxruntime, which is several times faster than torch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vcm import weightfile
from vcm.device import gpu_of
from vcm.errors import ModelError
from vcm.ort import Session
from vcm.roi.session import GRAPH, KIND, Network, Planes, Run
from vcm.roi.vocabulary import vocabulary

Arrays = dict[str, NDArray[Any]]


def read(path: Path, device: str = "cpu") -> Network:
    """See `vcm.roi.session.load`."""
    run, card = _opened(path, device, "probabilities")
    return Network(run, card, ("", *vocabulary().classes))


def importance(path: Path, device: str = "cpu") -> Run:
    """The network's other output: the log of how much errors at each position matter to detectors.

    It is (1, H/16, W/16) float32, up to a constant for each picture. See `vcm.roi.session.load`.
    """
    return _opened(path, device, "importance")[0]


def _opened(path: Path, device: str, output: str) -> tuple[Run, dict[str, str]]:
    """A function that computes one of the network's outputs, and the file's card."""
    gpu = gpu_of(device)
    graph, weights, card = parts(path)
    threads = torch.get_num_threads()
    session = Session(graph, str(path), threads=threads, weights=weights, gpu=gpu)

    def run(x: Planes) -> Planes:
        (planes,) = session.run({"x": x}, [output])
        seen: Planes = planes[0]
        return seen

    return run, card


def parts(path: Path) -> tuple[bytes, Arrays, dict[str, str]]:
    """The ONNX graph of a weight file, the values of its initializers, and the card.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
    """
    tensors, card = weightfile.read(path, KIND)
    classes = len(vocabulary().classes)
    if not {GRAPH, "words"} <= tensors.keys() or len(tensors["words"]) != classes:
        raise ModelError(f"{path}: not weights for {classes} classes; use those of this version")
    graph = tensors.pop(GRAPH).numpy().tobytes()
    weights = {n: (t.float() if t.is_floating_point() else t).numpy() for n, t in tensors.items()}
    return graph, {n: np.asarray(t) for n, t in weights.items()}, card
