"""The words' network in onnxruntime, from a weight file or from one ONNX file."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

KIND: Final = "vcm-roi-2"
GRAPH: Final = "graph"  # tensor with the ONNX graph; the other tensors are its initializers
# suffix of a file -> (module, function that reads it); the module is imported when needed
READERS: Final = {
    ".safetensors": ("vcm.roi.weights", "read"),
    ".onnx": ("vcm.roi.baked", "read"),
}
Planes = NDArray[np.float32]
# From a picture, (1, 3, H, W) float32 in [0, 1], RGB, with sides that are multiples of 32, to the
# probability of each of the network's names, (N, H/4, W/4) float32.
Run = Callable[[Planes], Planes]


class Network(NamedTuple):
    """A words' network, ready to run.

    Attributes:
        run: from a picture to probabilities.
        card: what its file says about itself.
        names: the class that each plane of probabilities shows; "" for "none of them".
    """

    run: Run
    card: dict[str, str]
    names: tuple[str, ...]


def load(path: Path, device: str = "cpu") -> Network:
    """The network in a file.

    Args:
        device: as `vcm.device.gpu_of` takes it.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
        SpecError: if there is no such device, or onnxruntime cannot use it.
    """
    # For another suffix, the reader of weight files says what is wrong.
    module, name = READERS.get(path.suffix, READERS[".safetensors"])
    network: Network = getattr(import_module(module), name)(path, device)
    return network
