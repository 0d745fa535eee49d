"""Models of transformers, from a folder or from the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vcm.errors import ModelError


def load(name: str, weights: str, hint: str, *loaders: Callable[..., Any]) -> list[Any]:
    """What the loaders make of the weights; transformers loads models in evaluation mode.

    Args:
        name: what people call the model.
        weights: hub id or local folder.
        hint: of the error, see `VcmError`: how a folder is given instead.
        loaders: `from_pretrained` of classes of transformers.

    Raises:
        ModelError: if the weights cannot be loaded, for lack of a network for instance.
    """
    # Asked once, here: transformers asks for each file, six times, before it gives up.
    local = Path(weights).is_dir() or not _on_hub(weights)
    try:
        return [loader(weights, local_files_only=local) for loader in loaders]
    except Exception as error:  # transformers raises many kinds
        raise ModelError(
            f"{name} {weights!r} cannot be loaded ({_first_line(error)}); with a network it is "
            "downloaded, without one give a folder that holds it",
            hint=hint,
        ) from error


def _on_hub(weights: str) -> bool:
    """Whether the hub can be reached and has a model of this name."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(weights, timeout=10)
    except Exception:  # no network, no such name, not a name at all
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
