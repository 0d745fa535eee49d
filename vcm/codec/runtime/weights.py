"""The codec's weight files: networks in float16 and integer coding tables.

The fingerprint of a file that the codec writes is the digest of what the *decoder* needs. An
encoder tuned for a task shares it with the model that it came from, and so do their files: every
decoder of that model reads them. Such an encoder is a weight file of its own that names its decoder
by the fingerprint.
"""

import json
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from vcm import toml, weightfile
from vcm.codec.format.tables import Tables
from vcm.codec.models.loss import LMBDA
from vcm.codec.models.roi import RoiHyperprior, Sizes
from vcm.codec.nets.entropy import SCALE_LEVELS
from vcm.codec.nets.integer import IntConv2d
from vcm.errors import ModelError, SpecError

DEFAULT: Final = "base"
KIND: Final = "vcm-codec-1"
ENCODER_KIND: Final = "vcm-encoder-1"
PUBLISHED: Final = "vcm-published-1"  # see vcm.codec.models.published
TASK: Final = "task"  # in the card of a model trained with a task loss: the task model's name
ENCODER: Final = ("g_a.", "lma.", "gain.", "h_a.")
_DECODER: Final = ("g_s.", "inverse_gain.", "parameters_y.", "tables.")


class Weights(NamedTuple):
    """A model ready for use.

    Attributes:
        model: in evaluation mode, integer networks frozen.
        tables: coding tables "z" and "y".
        fingerprint: 8 bytes that name the decoder.
        card: what the file says of itself (strings).
        lmbda: of the loss that it was trained with, at quality 0 and 100.
    """

    model: RoiHyperprior
    tables: dict[str, Tables]
    fingerprint: bytes
    card: dict[str, str]
    lmbda: tuple[float, float]


def find(name_or_path: str | Path = DEFAULT) -> Path:
    """The file of a built-in model by its name, or the path itself.

    Raises:
        ModelError: if neither exists; the message lists the built-in names.
    """
    known = weightfile.codecs()
    path = Path(name_or_path)
    if path.is_file():
        return path
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    raise ModelError(
        f"weights {str(name_or_path)!r}: no such file and no such built-in model; "
        f"built in: {', '.join(known)}"
    )


def save(path: Path, model: RoiHyperprior, tables: dict[str, Tables], card: dict[str, str]) -> None:
    """Write a model in float16 with its tables; `card` says where it comes from."""
    tensors = {k: v.detach().half() for k, v in model.state_dict().items()}
    for name, table in tables.items():
        tensors |= {f"tables.{name}.{k}": v for k, v in table._asdict().items()}
    own = {"sizes": json.dumps(model.config()), "fingerprint": _fingerprint(tensors).hex()}
    weightfile.write(path, KIND, tensors, card | own)


def save_encoder(path: Path, model: RoiHyperprior, base: Weights, card: dict[str, str]) -> None:
    """Write the encoder of a model whose decoder is `base`'s.

    Raises:
        ModelError: if its decoder is another one.
    """
    own, theirs = model.state_dict(), base.model.state_dict()
    changed = [
        name
        for name, value in theirs.items()
        if not name.startswith(ENCODER) and not torch.equal(own[name].half(), value.half())
    ]
    if changed:
        raise ModelError(
            f"expected the decoder of {base.fingerprint.hex()}, but {len(changed)} tensors differ, "
            f"{changed[0]} first; train with [run] learn = 'encoder' from that model"
        )
    tensors = {k: v.detach().half() for k, v in own.items() if k.startswith(ENCODER)}
    card = card | {"sizes": json.dumps(model.config()), "decoder": base.fingerprint.hex()}
    weightfile.write(path, ENCODER_KIND, tensors, card)


def load(name_or_path: str | Path = DEFAULT) -> Weights:
    """The model of a weight file, checked.

    Of an encoder's file the decoder is looked for beside it and among the built-in models.

    Raises:
        ModelError: if the file is missing, of another kind, damaged or incomplete, or an encoder's
            decoder is not there.
    """
    path = find(name_or_path)
    tensors, card = weightfile.read(path, KIND, ENCODER_KIND)
    if card["format"] == ENCODER_KIND:
        tensors = _decoder_of(path, card) | tensors
    fingerprint = _fingerprint(tensors)
    try:
        tables = {
            name: Tables(**{k: tensors[f"tables.{name}.{k}"] for k in Tables._fields})
            for name in ("z", "y")
        }
        if not all(bool(t.isfinite().all()) for t in tensors.values()):
            raise ValueError("some are no numbers")
        model = _model(tensors, card)
        tables["z"].check(model.sizes.Z)
        tables["y"].check(SCALE_LEVELS)
        low, high = json.loads(card.get("lmbda", json.dumps(LMBDA)))
    except (SpecError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: the weights do not fit their description: {reason}") from error
    return Weights(model, tables, fingerprint, card, (float(low), float(high)))


def _decoder_of(path: Path, card: dict[str, str]) -> dict[str, Tensor]:
    """The tensors besides an encoder's, of the file that has its decoder."""
    wanted = card.get("decoder", "")
    for folder in (path.parent, weightfile.BUILT_IN):
        for other in sorted(folder.glob("*.safetensors")):
            try:
                tensors, _ = weightfile.read(other, KIND)
            except ModelError:  # of something else, or damaged: not what is looked for
                continue
            if _fingerprint(tensors).hex() == wanted:
                return {k: v for k, v in tensors.items() if not k.startswith(ENCODER)}
    raise ModelError(
        f"{path}: an encoder for the decoder {wanted}, which is not there; put the weight file "
        f"of that model beside it"
    )


def _fingerprint(tensors: dict[str, Tensor]) -> bytes:
    names = (k for k in tensors if k.startswith(_DECODER))
    return bytes.fromhex(weightfile.digest(tensors, names))[:8]


def _model(tensors: dict[str, Tensor], card: dict[str, str]) -> RoiHyperprior:
    with torch.random.fork_rng(devices=[]):  # not on "meta": its normal_ imports torch._dynamo
        model = RoiHyperprior(toml.build(Sizes, json.loads(card["sizes"]), "sizes"))
    state = {k: v.float() for k, v in tensors.items() if not k.startswith("tables.")}
    model.load_state_dict(state, assign=True)
    for module in model.eval().requires_grad_(False).modules():
        if isinstance(module, IntConv2d):
            module.freeze()
    return model
