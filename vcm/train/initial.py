"""Weights to start a training from: another run's checkpoint, or a weight file."""

import logging
from pathlib import Path

from torch import Tensor, nn

from vcm.codec.models.halves import outside
from vcm.codec.models.rate import rate_of
from vcm.codec.runtime import weights
from vcm.errors import ModelError
from vcm.train import checkpoint
from vcm.train.parts import Learn
from vcm.train.step import Step

_log = logging.getLogger(__name__)


def tensors(name_or_path: str) -> dict[str, Tensor]:
    """Tensors of the networks ("model.") and of the rate model ("rate.").

    Args:
        name_or_path: a checkpoint (*.ckpt), of which the averages are used, a weight file, or the
            name of a built-in model.

    Raises:
        ModelError: if it is none of these.
    """
    path = Path(name_or_path)
    if path.suffix == ".ckpt":
        state = checkpoint.load(path)
        if "average" not in state:
            raise ModelError(f"{path}: not a checkpoint of `vcm train`: it has no averages")
        average: dict[str, Tensor] = state["average"]
        return average
    released = weights.load(name_or_path)
    rate = rate_of(released.prior, released.tables["z"])
    return {f"model.{k}": v for k, v in released.model.state_dict().items()} | {
        f"rate.{k}": v for k, v in rate.state_dict().items()
    }


def adopt(module: Step, name_or_path: str, learn: Learn) -> None:
    """Start from the weights of another model, see `tensors`.

    Layers that are wider here compute the same as there. Tensors that the other model does not have
    are logged.

    Raises:
        ModelError: if the other model is larger somewhere, or has no tensor in common with this
            one; or if only the encoder learns and the decoders differ.
    """
    own, given = module.state_dict(), tensors(name_or_path)
    known = own.keys() & given.keys()
    if not known:
        raise ModelError(f"{name_or_path}: holds nothing of the model to be trained")
    alike = {k for k in known if own[k].shape == given[k].shape}
    frozen = outside(module, nn.ModuleList(module.halves()["encoder"]))
    decoder = {k for k in frozen if k.startswith("model.")}
    if learn == "encoder" and not decoder <= alike:
        raise ModelError(
            f"{name_or_path}: [model] describes another decoder; if only the encoder learns, it "
            f"must be the same"
        )
    module.load_state_dict(own | {k: checkpoint.grown(given[k], own[k]) for k in known})
    fresh = ", ".join(sorted(own.keys() - known)) or "none"
    _log.info("%d tensors taken over, new: %s", len(known), fresh)
