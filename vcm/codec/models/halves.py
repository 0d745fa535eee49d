"""A model in two halves, an encoder and a decoder, and which tensors belong to which.

In weight files and checkpoints the names of tensors do not say which half they belong to: version 1
had no halves, and its names were kept. The half is added when a file is read.
"""

from typing import Any, Final

from torch import nn

HALVES: Final = ("encoder", "decoder")


class Halves(nn.Module):
    """A model with the submodules `encoder` and `decoder`.

    `state_dict` leaves their names out, and `load_state_dict` expects it so. Every tensor outside
    the encoder, whatever its name, is one that a decoder needs.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_post_hook(_left_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_in)  # type: ignore[no-untyped-call]


def outside(model: nn.Module, encoder: nn.Module) -> list[str]:
    """Names, as `state_dict` has them, of all tensors of a model that are not its encoder's."""
    own = {id(t) for t in encoder.state_dict(keep_vars=True).values()}
    return [k for k, t in model.state_dict(keep_vars=True).items() if id(t) not in own]


def _left_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for key in [k for k in state if k.startswith(prefix)]:
        half, _, rest = key.removeprefix(prefix).partition(".")
        if half in HALVES:
            assert prefix + rest not in state, f"both halves have a tensor {rest}"
            state[prefix + rest] = state.pop(key)


def _put_in(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    half_of = {name: half for half in HALVES for name in _names(module.get_submodule(half))}
    for key in [k for k in state if k.startswith(prefix)]:
        rest = key.removeprefix(prefix)
        half = half_of.get(rest.partition(".")[0])
        if half is not None:
            state[f"{prefix}{half}.{rest}"] = state.pop(key)


def _names(half: nn.Module) -> list[str]:
    """Names of all that a half holds directly."""
    tensors = (*half.named_parameters(recurse=False), *half.named_buffers(recurse=False))
    return [name for name, _ in (*half.named_children(), *tensors)]
