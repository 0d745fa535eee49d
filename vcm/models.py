"""The task models by name: one literal table; a module is imported when its model is asked for."""

from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, Final, cast

from vcm import plugin
from vcm.device import elsewhere
from vcm.errors import SpecError
from vcm.vision.base import TaskModel

# adapter -> (module, class, what its weights are)
ADAPTERS: Final = {
    "yolo": ("vcm.vision.yolo", "Yolo", "ultralytics: yolo11n.pt, by name or path"),
    "rcnn": ("vcm.vision.rcnn", "Rcnn", "detectron2: a model-zoo name, or a config"),
    "hf": ("vcm.vision.hf", "HuggingFace", "transformers: a hub id or a folder"),
    "torchvision": ("vcm.vision.torchvision", "TorchVision", "torchvision: NAME, or NAME=FILE"),
    "onnx": ("vcm.vision.onnx", "PicoDet", "a PicoDet .onnx file"),
    "tflite": ("vcm.vision.deeplab", "DeepLab", "a DeepLab .tflite file"),
    "embedded": ("vcm.roi.labels", "WordLabels", "our own words-to-mask network"),
}
# adapter -> (module, class) of what has `features`, and `labels` and `loss` where it can
TEACHERS: Final = {
    "yolo": ("vcm.vision.yolo_net", "YoloNet"),
    "rcnn": ("vcm.vision.rcnn", "Rcnn"),
    "hf": ("vcm.vision.hf", "HuggingFace"),
    "torchvision": ("vcm.vision.torchvision", "TorchVision"),
}
SUFFIXES: Final = {".pt": "yolo", ".onnx": "onnx", ".tflite": "tflite"}


def load_model(name: str, device: str = "cpu") -> TaskModel:
    """The task model of "adapter:weights", or of a file whose suffix says which it is.

    "FILE.py:NAME" is a class of the caller's own, see `vcm.plugin`.

    Args:
        device: "cpu", "cuda", "cuda:1", or "auto": a GPU if there is one that the model can use. A
            class of the caller's own is told if it is not "cpu".

    Raises:
        SpecError: if it does not say which adapter, or the model cannot use such a device.
        ModelError, MissingExtra: if the model cannot be loaded.
    """
    if plugin.is_plugin(name):
        return cast(TaskModel, plugin.load(name, ("kind", "names"), **elsewhere(device)))
    adapter, weights = parsed(name)
    module, cls, _ = ADAPTERS[adapter]
    arguments = (weights,) if weights else ()
    return cast(TaskModel, getattr(import_module(module), cls)(*arguments, device=device))


def check_name(name: str) -> None:
    """Refuse a name that no model can have, before any work.

    Raises:
        SpecError: if it does not say which adapter, or there is no such file.
    """
    if plugin.is_plugin(name):
        return
    adapter, weights = parsed(name)
    if adapter in ("onnx", "tflite") and not Path(weights).exists():
        raise SpecError(f"task model {name!r}: there is no such file")


def load_teacher(name: str, device: str = "cpu") -> Any:
    """A frozen task model whose features and losses have gradients down to the pixels.

    "FILE.py:NAME" is a task model of the caller's own that has `features` as `YoloNet` has them.

    Args:
        device: as for `load_model`; pictures must be there, too.

    Raises:
        SpecError: if the name does not say which adapter, it has no gradients, or the model cannot
            use such a device.
        ModelError, MissingExtra: if the model cannot be loaded.
    """
    if plugin.is_plugin(name):
        return plugin.load(name, ("kind", "names"), **elsewhere(device))
    adapter, weights = parsed(name)
    if adapter not in TEACHERS:
        raise SpecError(
            f"{name}: no gradients reach the pixels of a model of {adapter}; expected one of "
            f"{', '.join(TEACHERS)}"
        )
    module, cls = TEACHERS[adapter]
    return getattr(import_module(module), cls)(weights, device=device)


def parsed(name: str) -> tuple[str, str]:
    """Adapter and weights."""
    adapter, colon, weights = name.partition(":")
    if adapter in ADAPTERS and (weights or adapter == "embedded"):
        return adapter, weights
    suffix = PurePath(name).suffix
    if suffix in SUFFIXES:
        return SUFFIXES[suffix], name
    known = "".join(f"\n  {key}:WEIGHTS  {text}" for key, (_, _, text) in ADAPTERS.items())
    raise SpecError(
        f"task model {name!r}: expected a .pt, .onnx or .tflite file, FILE.py:NAME for your own, "
        f"or one of{known}"
    )
