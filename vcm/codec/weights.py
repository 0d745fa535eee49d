"""Weights on disk: safetensors in float16, integer tables beside them, digests in the header.

The fingerprint of a file that the codec writes is the digest of what the *decoder* needs. An
encoder tuned for a task shares it with the model that it came from, and so do their files.
"""

import hashlib
import json
from pathlib import Path
from typing import Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from vcm.codec.integer import IntConv2d
from vcm.codec.model import RoiHyperprior, Sizes
from vcm.codec.tables import Tables
from vcm.errors import ModelError
from vcm.files import write_atomic

DEFAULT: Final = "base"
_DECODER: Final = ("g_s.", "inverse_gain.", "parameters_y.", "tables.")


class Weights(NamedTuple):
    """A model ready for use.

    Attributes:
        model: in evaluation mode, integer networks frozen.
        tables: coding tables "z" and "y".
        fingerprint: 8 bytes that name the decoder.
        card: what the file says of itself (strings).
    """

    model: RoiHyperprior
    tables: dict[str, Tables]
    fingerprint: bytes
    card: dict[str, str]


def find(name_or_path: str | Path = DEFAULT) -> Path:
    """The file of a built-in model by its name, or the path itself.

    Raises:
        ModelError: if neither exists; the message lists the built-in names.
    """
    built_in = Path(__file__).parents[1] / "weights"
    candidate = built_in / f"codec-{name_or_path}.safetensors"
    for path in (Path(name_or_path), candidate):
        if path.is_file():
            return path
    names = sorted(p.stem.removeprefix("codec-") for p in built_in.glob("codec-*.safetensors"))
    raise ModelError(
        f"weights {str(name_or_path)!r}: no such file and no such built-in model; "
        f"built in: {', '.join(names)}"
    )


def save(path: Path, model: RoiHyperprior, tables: dict[str, Tables], card: dict[str, str]) -> None:
    """Write a model in float16 with its tables; `card` says where it comes from."""
    tensors = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    for name, table in tables.items():
        tensors |= {f"tables.{name}.{k}": v for k, v in table._asdict().items()}
    header = card | {
        "format": "vcm-codec-1",
        "sizes": json.dumps(model.config()),
        "decoder": _digest(tensors, decoder=True),
        "encoder": _digest(tensors, decoder=False),
    }
    write_atomic(path, safetensors_bytes(tensors, header))


def load(name_or_path: str | Path = DEFAULT) -> Weights:
    """The model of a weight file, checked.

    Raises:
        ModelError: if the file is missing, of another kind, damaged or incomplete.
    """
    path = find(name_or_path)
    tensors, header = _read(path)
    if header.get("format") != "vcm-codec-1":
        raise ModelError(
            f"{path}: expected weights of a vcm codec, got {header.get('format', 'something else')}"
        )
    for part in ("decoder", "encoder"):
        if _digest(tensors, decoder=part == "decoder") != header.get(part):
            raise ModelError(f"{path}: the {part}'s weights are damaged; get a fresh copy")
    tables = {n: _table(tensors, n, path) for n in ("z", "y")}
    return Weights(
        _model(tensors, header, path), tables, bytes.fromhex(header["decoder"])[:8], header
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file ({error}); get a fresh copy") from error


def _model(tensors: dict[str, Tensor], header: dict[str, str], path: Path) -> RoiHyperprior:
    try:
        with torch.device("meta"):  # no time is spent on initial values
            model = RoiHyperprior(Sizes(**json.loads(header["sizes"])))
        state = {k: v.float() for k, v in tensors.items() if not k.startswith("tables.")}
        model.load_state_dict(state, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path}: the weights do not fit their own description: {reason}"
        ) from error
    for module in model.eval().requires_grad_(False).modules():
        if isinstance(module, IntConv2d):
            module.freeze()
    return model


def _table(tensors: dict[str, Tensor], name: str, path: Path) -> Tables:
    try:
        return Tables(**{k: tensors[f"tables.{name}.{k}"] for k in Tables._fields})
    except KeyError as error:
        raise ModelError(
            f"{path}: the coding table {error} is missing; get a fresh copy"
        ) from error


def _digest(tensors: dict[str, Tensor], *, decoder: bool) -> str:
    """SHA-256 over names, shapes and values of one side's tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(k for k in tensors if k.startswith(_DECODER) == decoder):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
