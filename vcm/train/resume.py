"""What a run that goes on has in common with the run that left its checkpoint."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import torch
from accelerate import Accelerator

from vcm.errors import ModelError
from vcm.train.config import UNTOLD, Training

_log = logging.getLogger(__name__)

FREE: Final = ("run.folder", *UNTOLD)  # of no consequence for what is learnt
LOSS: Final = ("loss.", "task.", "data.", "published.")  # what the size of the loss depends on


def described(config: Any) -> str:
    """A config, a data class, as checkpoints hold it: JSON."""
    return json.dumps(asdict(config), default=str)


def differences(before: str, config: Any, free: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """What a config says otherwise than the one of a checkpoint: key -> (then, now); it is logged.

    Args:
        before: by `described`, maybe of an older version; what only one of them knows is left out.
        free: keys that may differ without a word.
    """
    then, now = (_flat(json.loads(text)) for text in (before, described(config)))
    changed = {
        key: (then[key], value)
        for key, value in now.items()
        if key in then and value != then[key] and key not in free
    }
    if changed:
        told = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items())
        _log.warning("this run continues with other settings than it was saved with: %s", told)
    return changed


def checked(state: dict[str, Any], config: Training, sizes: dict[str, Any]) -> bool:
    """Whether the loss is what it was; says what else is otherwise.

    Args:
        state: a checkpoint's.
        sizes: of the model that is to go on.

    Raises:
        ModelError: if the checkpoint is of another model, or of a run that learnt other parts.
    """
    folder = config.run.folder
    known = state.get("sizes") or {}
    later = {k: v for k, v in sizes.items() if k not in known and not v}  # than the checkpoint
    if known | later != sizes:
        raise ModelError(
            f"{folder}: its checkpoint has sizes {state.get('sizes')}, config says {sizes}; take "
            f"another run.folder"
        )
    changed = differences(state.get("config", "{}"), config, FREE)
    if "run.learn" in changed:
        then, now = changed["run.learn"]
        raise ModelError(
            f"{folder}: this run learns {then!r}, config says {now!r}; use another run.folder"
        )
    return not any(key.startswith(LOSS) for key in changed)


def check_together(accelerator: Accelerator, step: int, folder: str) -> None:
    """Raises ModelError if a process begins elsewhere: on a machine that has not this folder."""
    mine = torch.tensor([step], device=accelerator.device)
    steps = sorted(set(accelerator.gather(mine).tolist()))
    if len(steps) > 1:
        raise ModelError(
            f"processes begin at steps {steps}: all machines must see the same run.folder, {folder}"
        )


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """Keys of tables as "table.key"."""
    flat = {key: value for key, value in config.items() if not isinstance(value, dict)}
    tables = {name: table for name, table in config.items() if isinstance(table, dict)}
    return flat | {f"{name}.{key}": v for name, table in tables.items() for key, v in table.items()}
