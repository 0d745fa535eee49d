"""Models on the Hugging Face hub, or in a local folder laid out like one of its repositories."""

from pathlib import Path
from typing import Final

from vcm.errors import MissingExtra, ModelError

HUB: Final = "hf:"  # prefix of names
MODEL: Final = "model.safetensors"  # the weight file of a repository


def model(name: str) -> Path:
    """The weight file of "hf:OWNER/NAME" or "hf:FOLDER"; all other weight files lie beside it.

    Raises:
        ModelError: if there is no such repository or folder, or it has no such file.
        MissingExtra: if it is not a folder and huggingface_hub is not installed.
    """
    repository = name.removeprefix(HUB)
    local = Path(repository)
    folder = local if local.is_dir() else _downloaded(repository)
    path = folder / MODEL
    if not path.is_file():
        raise ModelError(f"{name}: it has no file {MODEL}; is it a vcm model?")
    return path


def _downloaded(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "hub") from error
    try:
        return Path(snapshot_download(repository, allow_patterns=["*.safetensors"]))
    except Exception as error:  # of the network, of the hub, of the name
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{HUB}{repository}: no such folder, and the repository cannot be downloaded: {reason}"
        ) from error
