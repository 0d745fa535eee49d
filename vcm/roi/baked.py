"""The words' network as one ONNX file, for some words or all, which runs without torch."""

import json
from pathlib import Path
from typing import Final

from vcm.errors import ModelError, SpecError
from vcm.ort import Session
from vcm.roi.session import KIND, Network, Planes

INPUT: Final = "x"
OUTPUT: Final = "found"  # the network's output
NAMES: Final = "names"  # the key in its card for the names of its planes


def read(path: Path, device: str = "cpu") -> Network:
    """See `vcm.roi.session.load`; it runs on the processor."""
    if device not in ("cpu", "auto"):
        raise SpecError(f"device {device}: {path.name} runs on the processor; give cpu or auto")
    session = Session(path, str(path), spin=False, keep=False)
    try:
        names = json.loads(session.card[NAMES])
        fits = session.card["format"] == KIND and list(session.outputs) == [OUTPUT]
    except (KeyError, ValueError):
        fits = False
    if not fits:
        raise ModelError(f"{path}: not a words' network from `vcm export`; export it again")

    def run(x: Planes) -> Planes:
        (found,) = session.run({INPUT: x})
        seen: Planes = found[0]
        return seen

    return Network(run, session.card, tuple(names))
