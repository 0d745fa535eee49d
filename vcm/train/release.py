"""From a training checkpoint to a weight file that people use."""

import datetime
from pathlib import Path

from torch import nn

from vcm.codec.model import RoiHyperprior, Sizes
from vcm.codec.rate import Rate
from vcm.codec.weights import save
from vcm.errors import ModelError
from vcm.train import checkpoint


def release(source: Path, target: Path) -> dict[str, str]:
    """Write the averaged weights of a checkpoint with their coding tables; its card comes back.

    The tables are computed from the weights after their rounding to float16, as users have them.

    Raises:
        ModelError: if `source` is not a checkpoint.
        OutputError: if `target` cannot be written.
    """
    state = checkpoint.load(source)
    try:
        sizes, step, average = state["sizes"], state["step"], state["average"]
    except KeyError as error:
        raise ModelError(f"{source}: not a training checkpoint: no {error}") from error
    model, rate = RoiHyperprior(Sizes(**sizes)), Rate(sizes["Z"])
    both = nn.ModuleDict({"model": model, "rate": rate})
    both.load_state_dict(average)
    both.half().float().eval()
    card = {"steps": str(step), "date": datetime.date.today().isoformat(), "licence": "Apache-2.0"}
    save(target, model, rate.tables(), card)
    return card
