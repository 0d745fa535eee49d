"""Weight files: safetensors whose header says what they are and what their bytes must add up to."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from vcm.errors import ModelError
from vcm.files import write_atomic

Tensors = dict[str, Tensor]


def write(path: Path, kind: str, tensors: Tensors, card: dict[str, str]) -> None:
    """Write tensors with a card; `kind` says what they are for, such as "vcm-codec-1".

    Raises:
        OutputError: if the file cannot be written.
    """
    header = card | {"format": kind, "sha256": digest(tensors, tensors)}
    write_atomic(path, safetensors_bytes({k: t.contiguous() for k, t in tensors.items()}, header))


def read(path: Path, *kinds: str) -> tuple[Tensors, dict[str, str]]:
    """Tensors and card of a file of one of the kinds; every value is checked.

    Raises:
        ModelError: if the file is missing, damaged, or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
            card = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a weight file ({error}); get a fresh copy") from error
    if card.get("format") not in kinds:
        wanted = " or ".join(kinds)
        raise ModelError(f"{path}: expected {wanted} weights, got {card.get('format', 'others')}")
    if card.get("sha256") != digest(tensors, tensors):
        raise ModelError(f"{path}: the weights are damaged; get a fresh copy")
    return tensors, card


def kind_of(path: Path) -> str:
    """What a weight file says that it is for, "" if it is no weight file."""
    return card_of(path).get("format", "")


def card_of(path: Path) -> dict[str, str]:
    """What a weight file says of itself, unchecked; nothing if it is no weight file."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}


def digest(tensors: Tensors, names: Iterable[str]) -> str:
    """SHA-256 in hex over name, type, shape and values of the named tensors, sorted by name."""
    total = hashlib.sha256()
    for name in sorted(names):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
