"""Weights to begin a training with: another run's checkpoint, or a released weight file."""

import logging
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from vcm.codec.format.coder import PRECISION
from vcm.codec.format.tables import Tables
from vcm.codec.models.rate import Rate
from vcm.codec.runtime import weights
from vcm.errors import ModelError
from vcm.train import checkpoint
from vcm.train.parts import ENCODER, Learn

_log = logging.getLogger(__name__)
FIT_STEPS: Final = 400


def tensors(name_or_path: str) -> dict[str, Tensor]:
    """Tensors of the networks ("model.") and of the rate model ("rate.").

    Args:
        name_or_path: a checkpoint (*.ckpt), whose averages are taken, a weight file, or the name
            of a built-in model.

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
    rate = prior_of(released.tables["z"])
    return {f"model.{k}": v for k, v in released.model.state_dict().items()} | {
        f"rate.{k}": v for k, v in rate.state_dict().items()
    }


def adopt(module: nn.Module, name_or_path: str, learn: Learn) -> None:
    """Begin with the weights of another model, see `tensors`.

    Where transforms, context or hidden layers are wider here, they compute what they did there.
    Logs what is not there at all.

    Raises:
        ModelError: if the other model is larger somewhere, or another one altogether; or if the
            encoder alone is to learn for a decoder that is not the other model's.
    """
    own, given = module.state_dict(), tensors(name_or_path)
    known = own.keys() & given.keys()
    if not known:
        raise ModelError(f"{name_or_path}: holds nothing of the model to be trained")
    alike = {k for k in known if own[k].shape == given[k].shape}
    decoder = {k for k in own if k.startswith("model.") and not k.startswith(ENCODER)}
    if learn == "encoder" and not decoder <= alike:
        raise ModelError(
            f"{name_or_path}: [model] has another decoder than it; where the encoder alone learns "
            f"they must be the same"
        )
    module.load_state_dict(own | {k: checkpoint.grown(given[k], own[k]) for k in known})
    fresh = ", ".join(sorted(own.keys() - known)) or "none"
    _log.info("%d tensors taken over, new: %s", len(known), fresh)


def prior_of(table: Tables) -> Rate:
    """A rate model whose prior of z says what a coding table says.

    Weight files hold tables and not the prior that they were made from.
    """
    rate = Rate(len(table.cdf))
    prior = rate.prior_z
    target = table.cdf.diff().double() / 2**PRECISION  # (Z, entries), the last one an escape
    used = torch.arange(target.shape[1]) < table.length[:, None] - 2
    target = torch.where(used, target, 0.0).float()
    symbols = table.offset[:, None] + torch.arange(target.shape[1])  # (Z, entries)
    z = symbols.float()[:, None]  # (Z, 1, entries), the layout that compressai works in
    parameters = [p for p in prior.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=0.03)
    for step in range(FIT_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 0.03 * (1 - step / FIT_STEPS)
        likelihood = prior._likelihood(z)[0][:, 0]
        loss = -(target * likelihood.clamp(min=1e-9).log2()).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return rate
