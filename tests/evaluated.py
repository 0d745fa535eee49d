"""An evaluation as `vcm eval` does it, as results.json has it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vcm.commands import eval as command
from vcm.evaluate.api import to_json


def ran(output: Path, options: command.EvalOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """What results.json of the folder holds."""
    return to_json(command.run(output, options, say))
