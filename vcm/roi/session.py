"""The words' network as it runs: by onnxruntime, from a weight file or as one ONNX file."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

KIND: Final = "vcm-roi-2"
GRAPH: Final = "graph"  # the tensor that holds the ONNX graph, whose initializers are the others
# suffix of a file -> (module, what reads it); a module is imported for the first of its files
READERS: Final = {
    ".safetensors": ("vcm.roi.weights", "read"),
    ".onnx": ("vcm.roi.baked", "read"),
}
Planes = NDArray[np.float32]
# Of a picture (1, 3, H, W) float32 in [0, 1], RGB, sides multiples of 32, the probability of each
# of the network's names: (N, H/4, W/4) float32.
Run = Callable[[Planes], Planes]


class Network(NamedTuple):
    """A words' network, ready to run.

    Attributes:
        run: a picture to probabilities.
        card: what its file says of itself.
        names: of what each plane of probabilities shows, classes of the vocabulary; "" for none.
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
    module, name = READERS.get(path.suffix, READERS[".safetensors"])  # who says what is wrong
    network: Network = getattr(import_module(module), name)(path, device)
    return network
