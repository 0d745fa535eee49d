"""Models of transformers, from a folder or from the hub."""

from pathlib import Path
from typing import Any

from vcm.errors import ModelError


def load(name: str, weights: str, processor: Any, model: Any) -> tuple[Any, Any]:
    """A processor and a model in evaluation mode.

    Args:
        name: what people call the model.
        weights: hub id or local folder.
        processor, model: classes of transformers.

    Raises:
        ModelError: if the weights cannot be loaded, for lack of a network for instance.
    """
    # Asked once, here: transformers asks for each file, six times, before it gives up.
    local = Path(weights).is_dir() or not _on_hub(weights)
    try:
        loaded = [
            kind.from_pretrained(weights, local_files_only=local) for kind in (processor, model)
        ]
    except Exception as error:  # transformers raises many kinds
        raise ModelError(
            f"{name} {weights!r} cannot be loaded; with a network it is downloaded, without "
            f"one give a folder that holds it: --roi-weights FOLDER ({_first_line(error)})"
        ) from error
    return loaded[0], loaded[1].eval()


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
