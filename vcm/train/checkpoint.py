"""Training state on disk: written atomically, read back exactly."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcm.errors import ModelError
from vcm.files import write_atomic


class Average:
    """Exponential moving average of a model's parameters; these weights are released.

    It stays on the device where the model is when it is created.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model, faster in the first steps."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        now = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
        torch._foreach_lerp_([self.values[k] for k in now], list(now.values()), weight)

    @torch.no_grad()
    def restore(self, values: dict[str, Tensor]) -> None:
        """Take the values of an earlier run, which may have been on another device."""
        for key, value in values.items():
            self.values[key].copy_(value)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers and strings in one atomic step."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """A state that `save` wrote.

    Raises:
        ModelError: if the file is not a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path}: not a training checkpoint; expected one that `vcm train` wrote"
        ) from error
    return state  # type: ignore[no-any-return]


def step_of(path: Path) -> int:
    """Number of steps that a checkpoint was trained for; 0 if there is no such file."""
    return int(load(path)["step"]) if path.exists() else 0


def grown(old: Tensor, new: Tensor) -> Tensor:
    """`new`, (O, I, ...), with `old`, (o, i, ...), in its first corner and zeros for new inputs.

    The old outputs of a layer do not see the new inputs, so a network that was made wider computes
    the same as before.
    """
    corner = tuple(slice(n) for n in old.shape)
    if old.ndim != new.ndim or new[corner].shape != old.shape:
        raise ModelError(f"expected at most {tuple(new.shape)}, got {tuple(old.shape)}")
    result = new.clone()
    if new.ndim > 1:
        result[: len(old), old.shape[1] :] = 0
    result[corner] = old
    return result
