"""The words' network as an ONNX graph without weights, for the weight file."""

import io
import warnings
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vcm.errors import MissingExtra
from vcm.roi.network import PixelWordNet


class _Answers(nn.Module):
    """The network's outputs that are used when pictures are coded."""

    def __init__(self, net: PixelWordNet):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (1, K + 1, H/4, W/4), "none" first, and importance (1, 1, H/16, W/16)."""
        pixels = self.net.pixels(x)
        return self.net.logits(pixels).softmax(1), pixels.importance


def graph(net: PixelWordNet) -> Tensor:
    """The graph's bytes, (N,) uint8; its initializers have the names of the network's tensors.

    Their values are not in the graph: they must be given when it is run.

    Raises:
        MissingExtra: if onnx is not installed.
    """
    onnx = package()
    buffer = io.BytesIO()
    sides = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old exporter is used because it keeps the names
        torch.onnx.export(
            _Answers(net.eval()), (torch.zeros(1, 3, 64, 96),), buffer, dynamo=False,  # type: ignore[arg-type]
            input_names=["x"], output_names=["probabilities", "importance"],
            dynamic_axes={"x": sides, "probabilities": sides, "importance": sides},
            training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    for tensor in model.graph.initializer:
        if tensor.name.startswith("net."):
            _empty(tensor, onnx.TensorProto.EXTERNAL)
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = name.removeprefix("net.")
    return torch.from_numpy(np.frombuffer(model.SerializeToString(), np.uint8).copy())


def package() -> Any:
    """The module onnx; raises MissingExtra if it is not installed."""
    try:
        return import_module("onnx")
    except ImportError as error:
        raise MissingExtra("onnx", "train-roi") from error


def _empty(tensor: Any, external: int) -> None:
    """Remove an initializer's values, and mark them as external."""
    tensor.name = tensor.name.removeprefix("net.")
    tensor.ClearField("raw_data")
    tensor.data_location = external
    tensor.external_data.add(key="location", value="weights")
