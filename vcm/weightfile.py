"""Weight files: safetensors whose header says what they are and what their bytes must add up to.

Who only asks for names and cards does not wait for torch.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vcm import hub
from vcm.errors import ModelError
from vcm.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

Tensors = dict[str, "Tensor"]
BUILT_IN: Final = Path(__file__).parent / "weights"
MAX_HEADER: Final = 2**24  # bytes
DEFAULT: Final = "base"  # of the built-in codecs


def write(path: Path, kind: str, tensors: Tensors, card: dict[str, str]) -> None:
    """Write tensors with a card; `kind` says what they are for, such as "vcm-codec-1".

    Raises:
        OutputError: if the file cannot be written.
    """
    from safetensors.torch import save as safetensors_bytes

    header = card | {"format": kind, "sha256": digest(tensors, tensors)}
    write_atomic(path, safetensors_bytes({k: t.contiguous() for k, t in tensors.items()}, header))


def read(path: Path, *kinds: str) -> tuple[Tensors, dict[str, str]]:
    """Tensors and card of a file of one of the kinds; every value is checked.

    Raises:
        ModelError: if the file is missing, damaged, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
            card = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        if _is_checkpoint(path):
            raise ModelError(
                f"{path}: a checkpoint, not a weight file; if `vcm train` wrote it, convert it "
                f"with `vcm release {path} -o codec.safetensors`"
            ) from error
        raise ModelError(f"{path}: not a weight file ({error}); get a fresh copy") from error
    if card.get("format") not in kinds:
        wanted = " or ".join(kinds)
        raise ModelError(f"{path}: expected {wanted} weights, got {card.get('format', 'others')}")
    if card.get("sha256") != digest(tensors, tensors):
        raise ModelError(f"{path}: the weights are damaged; get a fresh copy")
    return tensors, card


def _is_checkpoint(path: Path) -> bool:
    """Whether torch has written it, whatever it is called: a ZIP archive."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def kind_of(path: Path) -> str:
    """What a weight file says that it is for, "" if it is no weight file."""
    return card_of(path).get("format", "")


def card_of(path: Path) -> dict[str, str]:
    """What a weight file says about itself, unchecked; nothing if it is no weight file."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length) if length <= MAX_HEADER else b"")
            return dict(header["__metadata__"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


def codecs() -> dict[str, Path]:
    """The built-in codecs by their names, sorted."""
    return {p.stem.removeprefix("codec-"): p for p in sorted(BUILT_IN.glob("codec-*.safetensors"))}


def find(name_or_path: str | Path = DEFAULT) -> Path:
    """The weight file of a built-in codec by its name, of "hf:OWNER/NAME", or the path itself.

    Raises:
        ModelError: if there is none; the message lists the built-in names.
        MissingExtra: if a model of the hub is asked for without huggingface_hub.
    """
    if str(name_or_path).startswith(hub.HUB):
        return hub.model(str(name_or_path))
    known = codecs()
    path = Path(name_or_path)
    if path.is_file():
        return path
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    raise ModelError(
        f"weights {str(name_or_path)!r}: no such file and no such built-in model; "
        f"built in: {', '.join(known)}; hf:OWNER/NAME is one of the Hugging Face hub"
    )


def named(fingerprint: str) -> str | None:
    """The built-in codec that decodes files of a fingerprint, by its card; None if none does."""
    fits = (n for n, path in codecs().items() if card_of(path).get("fingerprint") == fingerprint)
    return next(fits, None)


def digest(tensors: Tensors, names: Iterable[str]) -> str:
    """SHA-256 in hex over name, type, shape and values of the named tensors, sorted by name."""
    total = hashlib.sha256()
    for name in sorted(names):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
