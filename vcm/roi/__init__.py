"""Regions of interest: words to masks (TMA) and masks to values (CVA)."""

from importlib import import_module
from typing import Any, Final

from vcm import plugin
from vcm.device import elsewhere
from vcm.errors import SpecError
from vcm.roi.base import Backend, networks
from vcm.task import TaskSpec

# name -> (module, class or function that makes it); a module is imported when its backend is used
BACKENDS: Final = {
    "embedded": ("vcm.roi.backends", "embedded"),
    "auto": ("vcm.roi.backends", "auto"),
    "clipseg": ("vcm.roi.clipseg", "ClipSeg"),
    "grounding": ("vcm.roi.grounding", "Grounding"),
    "segmenter": ("vcm.roi.backends", "segmenter"),
}
SEVERAL: Final = ("embedded", "auto", "segmenter")  # those that also use specialists
DETAILED: Final = ("embedded", "auto")  # those that have the option `detail`
PARTS: Final = ("name", "tau", "growth", "similarity")  # attributes of a `Backend`


def load_backend(name: str, **options: Any) -> Backend:
    """A words-to-mask backend, loaded; options are passed to the class or function that makes it.

    Args:
        name: a key of `BACKENDS`, or "FILE.py:NAME" for a class of the caller's own.

    Raises:
        SpecError: if there is no such backend, or it cannot run on the given device.
        ModelError, MissingExtra: if its weights or a package are missing.

    Example:
        >>> backend = vcm.load_backend("embedded", detail=2)
        >>> maps = backend.similarity(image.read("photo.jpg"), ["person", "astronaut"])
        >>> [plane.shape for plane in maps]
        [(288, 288), (288, 288)]
    """
    if plugin.is_plugin(name):
        mine: Backend = plugin.load(name, PARTS, **options)
        return mine
    if name not in BACKENDS:
        raise SpecError(f"ROI backend: expected one of {', '.join(BACKENDS)}, got {name!r}")
    module, maker = BACKENDS[name]
    backend: Backend = getattr(import_module(module), maker)(**options)
    return backend


def backend_for(
    task: TaskSpec, name: str = "embedded", weights: str | None = None, device: str = "cpu"
) -> Backend:
    """The words-to-mask backend of a task, with all networks loaded that its words need.

    Raises:
        UnknownWord: if the backend does not know a word and can tell before it sees a picture.
        SpecError, ModelError, MissingExtra: as `load_backend` does.
    """
    backend = chosen_backend(name, weights, task.detail, device)
    networks(backend, (*task.phrases, *task.exclude))
    return backend


def chosen_backend(name: str, weights: str | None, detail: int, device: str = "cpu") -> Backend:
    """The words-to-mask backend that options choose; `detail` is for those of `DETAILED`.

    Args:
        device: "cpu", "cuda", "cuda:1", or "auto": a GPU if there is one that it can use. A class
            of the caller's own gets it only if it is not "cpu".

    Raises:
        SpecError, ModelError, MissingExtra: as `load_backend` does.
    """
    options: dict[str, Any] = elsewhere(device) | ({} if weights is None else {"weights": weights})
    if name in DETAILED:
        options["detail"] = detail
    return load_backend(name, **options)
