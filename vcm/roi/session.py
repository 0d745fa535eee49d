"""The words' network as it runs: its weight file in onnxruntime, several times torch's speed."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from vcm import weightfile
from vcm.errors import ModelError
from vcm.roi.vocabulary import vocabulary

KIND: Final = "vcm-roi-2"
GRAPH: Final = "graph"  # the tensor that holds the ONNX graph, whose initializers are the others
Planes = NDArray[np.float32]


class Seen(NamedTuple):
    """What the network says of a picture.

    Attributes:
        probabilities: (K + 1, H/4, W/4) float32, "none" first.
        importance: (H/16, W/16) float32, log of what a place weighs for detectors.
    """

    probabilities: Planes
    importance: Planes


Run = Callable[[Planes], Seen]  # of a picture (1, 3, H, W) float32 in [0, 1], multiples of 32


def load(path: Path) -> tuple[Run, dict[str, str]]:
    """The network in a weight file, ready to run, and the file's card.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
    """
    tensors, card = weightfile.read(path, KIND)
    classes = len(vocabulary().classes)
    if GRAPH not in tensors or len(tensors["words"]) != classes:
        raise ModelError(f"{path}: not weights for {classes} classes; take those of this version")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    graph = tensors.pop(GRAPH).numpy().tobytes()
    values = [
        onnxruntime.OrtValue.ortvalue_from_numpy(
            (t.float() if t.is_floating_point() else t).numpy()
        )
        for t in tensors.values()
    ]
    options.add_external_initializers(list(tensors), values)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common type
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: the weights do not fit the network: {reason}") from error

    def run(x: Planes) -> Seen:
        probabilities, importance = session.run(None, {"x": x})
        return Seen(probabilities[0], importance[0, 0])

    return run, card
