"""Export of the words' network as one ONNX file, see `vcm.roi.baked`."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vcm.errors import MissingExtra
from vcm.roi.baked import NAMES, OUTPUT
from vcm.roi.text import Words
from vcm.roi.vocabulary import vocabulary
from vcm.roi.weights import parts


def bake(path: Path, words: Words | None = None) -> bytes:
    """The ONNX file of a weight file.

    Args:
        words: the words that the file is to find; None: all that the network knows.

    Raises:
        UnknownWord: if the network does not know one of them.
        ModelError: if the weight file is missing, damaged or of another network.
        MissingExtra: if the package onnx is not installed.
    """
    known = vocabulary()
    cover = range(len(known.classes)) if words is None else _cover(words)
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "onnx") from error
    graph, weights, card = parts(path)
    model = onnx.load_from_string(graph)
    for held in model.graph.initializer:
        held.CopyFrom(
            onnx.numpy_helper.from_array(np.ascontiguousarray(weights[held.name]), held.name)
        )
    _select(onnx, model.graph, [1 + i for i in cover])
    names = json.dumps([known.classes[i] for i in cover])
    onnx.helper.set_model_props(model, {**card, NAMES: names})
    data: bytes = model.SerializeToString()
    return data


def _cover(words: Words) -> list[int]:
    """The classes that words stand for, in the order of the vocabulary."""
    phrases: Iterable[str] = (*words.phrases, *words.exclude)
    return sorted({i for phrase in phrases for i in vocabulary().cover(phrase)})


def _select(onnx: ModuleType, graph: Any, planes: list[int]) -> None:
    """Make some planes of the probabilities the only output; all classes still compete."""
    (of,) = (o for o in graph.output if o.name == "probabilities")
    del graph.output[:]
    kind = of.type.tensor_type.elem_type
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(planes), "planes"))
    graph.node.append(onnx.helper.make_node("Gather", [of.name, "planes"], [OUTPUT], axis=1))
    shape = [1, len(planes), None, None]
    graph.output.append(onnx.helper.make_tensor_value_info(OUTPUT, kind, shape))
