"""The words' network as one ONNX file, which runs without torch: for some words, or for all."""

import json
from pathlib import Path
from typing import Final

from vcm.errors import ModelError, SpecError
from vcm.ort import Session
from vcm.roi.session import KIND, Network, Planes

INPUT: Final = "x"
OUTPUT: Final = "found"  # what the network gives
NAMES: Final = "names"  # of its planes, in its card


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
        raise ModelError(f"{path}: not a words' network that `vcm export` wrote; export it again")

    def run(x: Planes) -> Planes:
        (found,) = session.run({INPUT: x})
        seen: Planes = found[0]
        return seen

    return Network(run, session.card, tuple(names))
