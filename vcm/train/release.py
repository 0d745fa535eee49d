"""From a training checkpoint to a weight file that people use."""

import datetime
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from torch import Tensor, nn

from vcm import toml
from vcm.codec.api import kind_of
from vcm.codec.models import published
from vcm.codec.models.published import Preset
from vcm.codec.models.rate import Rate
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.runtime.any_rate import AnyRate
from vcm.codec.runtime.one_rate import save as save_published
from vcm.codec.runtime.weights import TASK, load, save, save_encoder
from vcm.errors import ModelError, SpecError
from vcm.train import checkpoint
from vcm.train.fit import fitted
from vcm.train.photos import Data, load_photos

PHOTOS = 200  # that tables are fitted to


class Checkpoint(NamedTuple):
    """What becomes a weight file.

    Attributes:
        description: of the model, by `Step.description`.
        average: its tensors, averaged.
        card: what the file will say about itself.
    """

    description: dict[str, Any]
    average: dict[str, Tensor]
    card: dict[str, str]


def release(
    source: Path, target: Path, photos: Path | None = None, encoder_of: str | None = None
) -> dict[str, str]:
    """Write the averaged weights of a checkpoint with their coding tables; returns the card.

    The tables are computed from the weights rounded to float16, as the file has them.

    Args:
        photos: a folder of training pictures to fit the tables to; None: by the model's priors.
        encoder_of: write only the encoder, for the decoder of this model.

    Raises:
        ModelError: if `source` is not a checkpoint, or its decoder is not that model's.
        SpecError: if `photos` or `encoder_of` does not suit the kind, or both are given.
        OutputError: if `target` cannot be written.
    """
    state = checkpoint.load(source)
    try:
        sizes, step, average = state["sizes"], state["step"], state["average"]
    except KeyError as error:
        raise ModelError(f"{source}: not a training checkpoint: no {error}") from error
    today = datetime.date.today().isoformat()
    card = _trained(state) | {"steps": str(step), "date": today, "licence": "Apache-2.0"}
    kind = kind_of(sizes.get("published", {}).get("base", ""))
    write = kind.imported("release")
    write(source, target, Checkpoint(sizes, average, card), photos, encoder_of)
    return card


def write_roi(
    source: Path, target: Path, trained: Checkpoint, photos: Path | None, encoder_of: str | None
) -> None:
    """Write a model of ours, or its encoder; arguments as for `release`."""
    if photos is not None and encoder_of is not None:
        raise SpecError("photos: an encoder alone has no tables to fit")
    sizes = toml.build(Sizes, trained.description, f"{source}: sizes")
    model, rate = RoiHyperprior(sizes), Rate(sizes.Z)
    both = nn.ModuleDict({"model": model, "rate": rate})
    try:
        both.load_state_dict(trained.average)
    except RuntimeError as error:  # a study's own kind of model
        raise ModelError(f"{source}: of another model: {str(error)[:200]}") from error
    both.half().float().eval()
    if encoder_of is not None:
        save_encoder(target, model, load(encoder_of), trained.card)
        return
    tables = rate.tables()
    if photos is not None:
        training, _ = load_photos(Data(photos=str(photos), crop=64, held_out=1))
        with TemporaryDirectory() as folder:  # a codec is loaded from a weight file
            own = Path(folder) / "own.safetensors"
            save(own, model, tables, {})
            tables = fitted(AnyRate.read(own), list(islice(training, PHOTOS)))
    save(target, model, tables, trained.card, rate.prior())


def write_published(
    source: Path, target: Path, trained: Checkpoint, photos: Path | None, encoder_of: str | None
) -> None:
    """Write a published codec; arguments as for `release`."""
    if photos is not None:
        raise SpecError("photos: a published codec has no tables to fit")
    if encoder_of is not None:
        raise SpecError("encoder_of: a published codec is written whole")
    preset = toml.build(Preset, trained.description["published"], f"{source}: published")
    net = published.build(replace(preset, pretrained=0))
    net.load_state_dict({k.removeprefix("model."): v for k, v in trained.average.items()})
    save_published(target, net, preset, trained.card)


def _trained(state: dict[str, Any]) -> dict[str, str]:
    """The card's entries about the loss; maps and the search for a better latent use them."""
    config = json.loads(state.get("config", "{}"))
    card = {}
    if loss := config.get("loss"):
        card["lmbda"] = json.dumps([loss["lmbda_low"], loss["lmbda_high"]])
    if model := config.get("task", {}).get("model"):
        card[TASK] = model
    return card
