"""Compares a resumed run with the run that wrote its checkpoint."""

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

FREE: Final = ("run.folder", *UNTOLD)  # keys that do not change what is learnt
LOSS: Final = ("loss.", "task.", "data.", "published.")  # tables that the loss depends on


def described(config: Any) -> str:
    """A config, a dataclass, as JSON, as checkpoints hold it."""
    return json.dumps(asdict(config), default=str)


def differences(before: str, config: Any, free: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ from those in a checkpoint: key -> (then, now). They are logged.

    Args:
        before: by `described`, perhaps of an older version; keys that only one has are ignored.
        free: keys that may differ.
    """
    then, now = (_flat(json.loads(text)) for text in (before, described(config)))
    changed = {
        key: (then[key], value)
        for key, value in now.items()
        if key in then and value != then[key] and key not in free
    }
    if changed:
        listed = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items())
        _log.warning("this run continues with other settings than it was saved with: %s", listed)
    return changed


def checked(state: dict[str, Any], config: Training, sizes: dict[str, Any]) -> bool:
    """Whether the loss has the same settings as before; other differences are logged.

    Args:
        state: a checkpoint's.
        sizes: of the model that continues.

    Raises:
        ModelError: if the checkpoint is of another model, or of a run that trained other parts.
    """
    folder = config.run.folder
    known = state.get("sizes") or {}
    newer = {k: v for k, v in sizes.items() if k not in known and not v}  # than the checkpoint
    if known | newer != sizes:
        raise ModelError(
            f"{folder}: its checkpoint has sizes {state.get('sizes')}, config says {sizes}; use "
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
    """Raises ModelError if a process starts at another step, as on a machine without the folder."""
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
