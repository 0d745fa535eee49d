"""Which parts of the codec a training changes."""

from typing import Literal

from torch import nn

Learn = Literal["all", "encoder", "decoder"]


def freeze_the_rest(module: nn.Module, learning: list[nn.Module]) -> None:
    """Turn gradients off for all parameters outside the parts that learn."""
    kept = {id(p) for part in learning for p in part.parameters()}
    for parameter in module.parameters():
        if id(parameter) not in kept:
            parameter.requires_grad_(False)
