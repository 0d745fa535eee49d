"""Our codec's weight files: networks in float16, integer coding tables, the prior of z.

The fingerprint in a .vcm file is the digest of the weights that the *decoder* needs. An encoder
tuned for a task has the fingerprint of the model that it was tuned from, so every decoder of that
model reads its files. Such an encoder has its own weight file, which names its decoder by the
fingerprint.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import torch

from vcm import toml, weightfile
from vcm.codec.format.constants import SCALE_LEVELS
from vcm.codec.format.tables import Tables
from vcm.codec.models.halves import outside
from vcm.codec.models.loss import LMBDA
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.integer import freeze
from vcm.codec.runtime.precision import CPU
from vcm.errors import ModelError, SpecError
from vcm.weightfile import Tensors

KIND: Final = "vcm-codec-1"
ENCODER_KIND: Final = "vcm-encoder-1"
TASK: Final = "task"  # in the card of a model trained with a task loss: the task model's name
TABLES, PRIOR = "tables.", "prior."  # prefixes of tensors that are not in the networks


class Weights(NamedTuple):
    """A model ready for use.

    Attributes:
        model: in evaluation mode, integer networks frozen.
        tables: coding tables "z" and "y".
        fingerprint: 8 bytes that identify the decoder.
        card: what the file says about itself (strings).
        lmbda: of the loss that it was trained with, at quality 0 and 100.
        prior: of z, for training: parameters of CompressAI's EntropyBottleneck; empty for old
            files, which do not have it.
    """

    model: RoiHyperprior
    tables: dict[str, Tables]
    fingerprint: bytes
    card: dict[str, str]
    lmbda: tuple[float, float]
    prior: Tensors


def save(
    path: Path,
    model: RoiHyperprior,
    tables: dict[str, Tables],
    card: dict[str, str],
    prior: Tensors | None = None,
) -> None:
    """Write a model in float16 with its tables; `card` says how it was made."""
    tensors = {k: v.detach().half().cpu() for k, v in model.state_dict().items()}
    for name, table in tables.items():
        arrays = table._asdict().items()
        tensors |= {f"{TABLES}{name}.{k}": torch.from_numpy(v) for k, v in arrays}
    fingerprint = _fingerprint(tensors, _of_decoder(model, tensors))
    own = {"sizes": json.dumps(model.config()), "fingerprint": fingerprint.hex()}
    kept = {f"{PRIOR}{k}": v.detach().cpu() for k, v in (prior or {}).items()}
    weightfile.write(path, KIND, tensors | kept, card | own)


def save_encoder(path: Path, model: RoiHyperprior, base: Weights, card: dict[str, str]) -> None:
    """Write only the encoder of a model whose decoder is `base`'s.

    Raises:
        ModelError: if the decoders differ.
    """
    own, theirs = model.state_dict(), base.model.state_dict()
    decoder = outside(base.model, base.model.encoder)
    changed = [
        k for k in decoder if k not in own or not torch.equal(own[k].half(), theirs[k].half())
    ]
    if changed:
        raise ModelError(
            f"expected the decoder of {base.fingerprint.hex()}, but {len(changed)} tensors differ, "
            f"{changed[0]} first; train with [run] learn = 'encoder' from that model"
        )
    tensors = {k: v.detach().half() for k, v in own.items() if k not in decoder}
    card = card | {"sizes": json.dumps(model.config()), "decoder": base.fingerprint.hex()}
    weightfile.write(path, ENCODER_KIND, tensors, card)


def load(name_or_path: str | Path = weightfile.DEFAULT, device: torch.device = CPU) -> Weights:
    """The model of a weight file, checked.

    The decoder of an encoder's file is looked for in the same folder and among the built-in models.

    Raises:
        ModelError: if the file is missing, of another kind, damaged or incomplete, or an encoder's
            decoder is not found.
    """
    path = weightfile.find(name_or_path)
    tensors, card = weightfile.read(path, KIND, ENCODER_KIND)
    if card["format"] == ENCODER_KIND:
        tensors = _decoder_of(path, card, tensors) | tensors
    try:
        tables = {name: _tables(tensors, name) for name in ("z", "y")}
        if not all(bool(t.isfinite().all()) for t in tensors.values()):
            raise ValueError("some values are not finite numbers")
        model = _model(tensors, card, device)
        tables["z"].check(model.sizes.Z)
        tables["y"].check(SCALE_LEVELS)
        low, high = json.loads(card.get("lmbda", json.dumps(LMBDA)))
        lmbda = float(low), float(high)
    except (SpecError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: the weights do not fit their description: {reason}") from error
    fingerprint = _fingerprint(tensors, _of_decoder(model, tensors))
    prior = {k.removeprefix(PRIOR): v for k, v in tensors.items() if k.startswith(PRIOR)}
    return Weights(model, tables, fingerprint, card, lmbda, prior)


def _decoder_of(path: Path, card: dict[str, str], encoder: Tensors) -> Tensors:
    """All tensors but the encoder's, from the file that has its decoder."""
    wanted = card.get("decoder", "")
    for folder in (path.parent, weightfile.BUILT_IN):
        for other in sorted(folder.glob("*.safetensors")):
            try:
                tensors, _ = weightfile.read(other, KIND)
            except ModelError:  # of another kind, or damaged
                continue
            rest = {k: v for k, v in tensors.items() if k not in encoder}
            if _fingerprint(rest, (k for k in rest if not k.startswith(PRIOR))).hex() == wanted:
                return rest
    raise ModelError(
        f"{path}: an encoder for the decoder {wanted}, which was not found; put the weight file "
        f"of that model beside it"
    )


def _of_decoder(model: RoiHyperprior, tensors: Tensors) -> list[str]:
    """Names of the tensors a decoder needs: all outside the encoder, and the coding tables."""
    return [*outside(model, model.encoder), *(k for k in tensors if k.startswith(TABLES))]


def _fingerprint(tensors: Tensors, names: Iterable[str]) -> bytes:
    return bytes.fromhex(weightfile.digest(tensors, names))[:8]


def _tables(tensors: Tensors, name: str) -> Tables:
    return Tables(*(tensors[f"{TABLES}{name}.{field}"].numpy() for field in Tables._fields))


def _model(tensors: Tensors, card: dict[str, str], device: torch.device) -> RoiHyperprior:
    with torch.random.fork_rng(devices=[]):  # not on "meta": its normal_ imports torch._dynamo
        model = RoiHyperprior(toml.build(Sizes, json.loads(card["sizes"]), "sizes"))
    state = {k: v.float() for k, v in tensors.items() if not k.startswith((TABLES, PRIOR))}
    model.load_state_dict(state, assign=True)
    model.to(device).eval().requires_grad_(False)
    freeze(model)
    return model
