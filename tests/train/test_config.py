"""Configs, what is changed on the command line, and the sweep that changes it."""

from pathlib import Path

import pytest
import yaml

from vcm.errors import SpecError
from vcm.train.config import load

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.mark.parametrize("name", ["base", "task_yolo"])
def test_the_configs_that_come_along_are_valid(name):
    assert load(CONFIGS / f"{name}.toml").optim.steps > 0


def test_changes_win_and_name_the_folder():
    config = load(CONFIGS / "base.toml", ["task.mu=7", "data.sigma=[0.1, 0.2]", "run.wandb=vcm"])
    assert config.task.mu == 7 and config.data.sigma == (0.1, 0.2) and config.run.wandb == "vcm"
    assert config.run.folder == "runs/base-task.mu=7_data.sigma=_0.1_0.2_"
    assert load(CONFIGS / "base.toml", ["run.wandb=vcm", "run.workers=2"]).run.folder == "runs/base"
    assert load(CONFIGS / "base.toml", ["run.folder=x"]).run.folder == "x"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("task.mu", "table.key=value"),
        ("task.nu=3", "nu"),
        ("task.mu=much", "mu"),
        ("data.photos.x=1", "photos is a value"),
        ("=1", "table.key=value"),
        ("loss.lmbda_low=0", "0 < low <= high"),
        ("optim.clip=0", "clip: expected more than 0"),
        ("optim.decay_from=2", "decay_from: expected 0 to 1"),
        ("run.workers=-1", "workers: expected 0 or more"),
        ("task.levels=[-1]", "levels"),
        ("published.pretrained=1", "pretrained: expected 0 to 0"),
        ("run.learn=decoder", "the other half"),
    ],
)
def test_changes_that_cannot_be(change, message):
    with pytest.raises(SpecError, match=message):
        load(CONFIGS / "base.toml", [change])


def test_every_run_of_the_sweep_is_a_valid_config():
    sweep = yaml.safe_load((CONFIGS / "sweep_task.yaml").read_text())
    *command, arguments = sweep["command"]
    assert command[:2] == ["vcm", "train"] and arguments == "${args_no_hyphens}"
    for key, values in ((k, v["values"]) for k, v in sweep["parameters"].items()):
        for value in values:
            config = load(CONFIGS.parent / command[3], [*command[4:], f"{key}={value}"])
            table, name = key.split(".")
            assert getattr(getattr(config, table), name) is not None
