"""Checkpoints of trainings that began before our model had halves are read, and go on."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from vcm import image
from vcm.codec.models.rate import Rate
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.transforms import Widths
from vcm.errors import ModelError
from vcm.train import checkpoint, resume
from vcm.train.config import Optim, Run, Training
from vcm.train.data import batch
from vcm.train.optim import BEFORE
from vcm.train.photos import Data, load_photos
from vcm.train.trainer import Trainer

pytestmark = pytest.mark.slow  # whole trainings

SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16)
# As the optimiser put the names of old parameters into groups.
SLOW = "model.g_a.linear", "model.g_s.linear", "model.gain.", "model.inverse_gain."
DEEP = ("model.g_a.body16",)


class Old(nn.Module):
    """The networks side by side in one module, in the order that they stood in, and the rate."""

    def __init__(self, model: RoiHyperprior):
        super().__init__()
        halves = dict(model.encoder.named_children()) | dict(model.decoder.named_children())
        self.model = nn.ModuleDict()
        for name in ("g_a", "g_s", "lma", "gain", "inverse_gain", "h_a", "parameters_y"):
            self.model[name] = halves[name]
        self.rate = Rate(model.sizes.Z)


@pytest.fixture
def config(tmp_path, photos):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        image.write(tmp_path / "photos" / f"{i}.png", photos["cat"][:, i * 40 : i * 40 + 200])
    return Training(
        model=SIZES,
        data=Data(photos=str(tmp_path / "photos"), crop=64, batch=2, held_out=1),
        optim=Optim(steps=10, warmup=1),
        run=Run(folder=str(tmp_path / "run"), precision="fp32"),
    )


def old_checkpoint(config, learn):
    """What an old program left: names, the order of the parameters, moments that all differ."""
    torch.manual_seed(1)
    old = Old(RoiHyperprior(SIZES))
    groups = {SLOW: [], DEEP: [], ("",): []}
    learning = {
        name: p
        for name, p in old.named_parameters()
        if p.requires_grad
        and (learn == "all" or name.split(".")[1] in ("g_a", "lma", "gain", "h_a"))
    }
    for name, parameter in learning.items():
        next(group for starts, group in groups.items() if name.startswith(starts)).append(parameter)
    optimiser = torch.optim.Adam([{"params": g, "factor": 1.0} for g in groups.values()], lr=1e-3)
    for _ in range(2):
        for parameter in learning.values():
            parameter.grad = torch.randn_like(parameter)
        optimiser.step()
    average = {k: v + 0.5 for k, v in old.state_dict().items()}
    state = {
        "step": 2, "sizes": RoiHyperprior(SIZES).config(), "model": old.state_dict(),
        "optimiser": optimiser.state_dict(), "average": average, "norm": 1e6, "loss": 1e6,
        "config": resume.described(config),
    }  # fmt: skip
    return state, {name: optimiser.state[p]["exp_avg"] for name, p in learning.items()}


@pytest.mark.parametrize("learn", ["all", "encoder"])
def test_an_old_checkpoint_goes_on(learn, config, tmp_path):
    begun = {"learn": learn, "initial": "base" if learn == "encoder" else ""}
    config = replace(config, run=replace(config.run, **begun))
    state, moments = old_checkpoint(config, learn)
    folder = tmp_path / "run"
    folder.mkdir()
    checkpoint.save(folder / "last.ckpt", state)
    photos, _ = load_photos(config.data)
    trainer = Trainer(config, photos)
    assert trainer.step == 2
    for name, value in trainer.all.state_dict().items():
        assert torch.equal(value, state["model"][name]), name
        assert torch.equal(trainer.average.values[name], state["average"][name]), name
    optimiser = trainer.optimiser
    for group in optimiser.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            was = name.replace(".encoder.", ".").replace(".decoder.", ".")
            assert torch.equal(optimiser.state[parameter]["exp_avg"], moments.pop(was)), name
    assert not moments
    trainer.advance(batch(photos, config.data, config.run.seed, trainer.step))
    trainer.save(folder / "last.ckpt")
    again = Trainer(config, photos)  # from a checkpoint that says the names of its parameters
    assert again.step == 3
    for name, value in trainer.all.state_dict().items():
        assert torch.equal(again.all.state_dict()[name], value), name
    for ours, theirs in zip(optimiser.param_groups, again.optimiser.param_groups, strict=True):
        for one, other in zip(ours["params"], theirs["params"], strict=True):
            kept = optimiser.state[one], again.optimiser.state[other]
            assert torch.equal(*(moments["exp_avg_sq"] for moments in kept))


def test_the_old_order_names_every_network_of_today():
    model = RoiHyperprior(SIZES)
    halves = (*model.encoder.named_children(), *model.decoder.named_children())
    assert sorted(name for name, _ in halves) == sorted(BEFORE)


def test_a_run_from_before_there_were_maps_goes_on():
    """Its checkpoint does not say that there are no knots below 0; others' sizes are refused."""
    config = Training(model=SIZES)
    before = {k: v for k, v in asdict(SIZES).items() if k != "below"}
    state = {"sizes": before, "config": resume.described(config)}
    assert resume.checked(state, config, asdict(SIZES))
    with pytest.raises(ModelError, match="has sizes"):
        resume.checked(state, config, asdict(replace(SIZES, below=10)))
