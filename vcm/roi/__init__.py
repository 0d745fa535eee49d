"""Regions of interest: words to masks (TMA) and masks to values (CVA)."""

from importlib import import_module
from typing import Any, Final

from vcm import plugin
from vcm.errors import SpecError
from vcm.roi.base import Backend
from vcm.task import TaskSpec

# name -> (module, class); a module is imported when its backend is asked for
BACKENDS: Final = {
    "embedded": ("vcm.roi.embedded", "Embedded"),
    "clipseg": ("vcm.roi.clipseg", "ClipSeg"),
    "grounding": ("vcm.roi.grounding", "Grounding"),
    "segmenter": ("vcm.roi.segmenter", "Segmenter"),
}
PARTS: Final = ("name", "tau", "growth", "similarity")  # of a `Backend`


def load_backend(name: str, **options: Any) -> Backend:
    """A words-to-mask backend, ready; options are its constructor's.

    Args:
        name: a key of `BACKENDS`, or "FILE.py:NAME" for a class of the caller's own.

    Raises:
        SpecError: if there is no such backend.
        ModelError, MissingExtra: if what it needs is not there.

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
    module, cls = BACKENDS[name]
    backend: Backend = getattr(import_module(module), cls)(**options)
    return backend


def backend_for(task: TaskSpec, name: str = "embedded", weights: str | None = None) -> Backend:
    """A words-to-mask backend as a task wants it; raises what `load_backend` does."""
    options: dict[str, Any] = {} if weights is None else {"weights": weights}
    if name == "embedded":
        options["detail"] = task.detail
    return load_backend(name, **options)
