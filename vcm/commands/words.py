"""What is said of words before a picture is coded: which networks look, and how much they find."""

import logging
from typing import Any, Final

from vcm.roi.base import Backend, networks, recall
from vcm.task import TaskSpec

_log = logging.getLogger(__name__)
LEAST: Final = 1 / 3  # a class of which less is found is told about


def said(backend: Backend | None, spec: TaskSpec | None) -> dict[str, Any]:
    """For a report: the networks, and the recall of each class that the words stand for, if known.

    Warns of the classes that are found badly. Where there are no words nothing is said.

    Raises:
        UnknownWord, MissingExtra, ModelError: as the networks do.
    """
    if backend is None or spec is None:
        return {}
    phrases = (*spec.phrases, *spec.exclude)
    names, found = networks(backend, phrases), recall(backend, phrases)
    if weak := [f"{name} ({100 * r:.0f} %)" for name, r in found.items() if r < LEAST]:
        _log.warning(
            "the built-in network covers these poorly (share of their pixels that it finds): %s; "
            "--roi-backend segmenter with a YOLO-seg checkpoint, grounding or clipseg finds more",
            ", ".join(weak),
        )
    return {"networks": list(names), "recall": found or None}
