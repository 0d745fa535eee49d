"""Training by several processes, in parts, stopped and diverging."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch

from vcm import image, toml
from vcm.errors import ModelError
from vcm.train import checkpoint
from vcm.train.config import Optim, Training
from vcm.train.data import batch
from vcm.train.loop import Trainer, train
from vcm.train.photos import load_photos

TOML = """
[model]
M = 12
Z = 4
hyper = 16
width = 16
context = 16
hidden = 16
analysis = {{ n8 = 12, n16 = 20, blocks8 = 1, blocks16 = 1 }}
synthesis = {{ n8 = 8, n16 = 16, blocks8 = 1, blocks16 = 1 }}
[data]
photos = "{photos}"
crop = 64
batch = 4
held_out = 1
[optim]
steps = 4
warmup = 1
[run]
folder = "{folder}"
precision = "fp32"
threads = 1
log_every = 1
check_every = 100
accumulate = {accumulate}
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(4):
        image.write(folder / f"{i}.png", photos["cat"][:, i * 40 : i * 40 + 300])
    return folder


def losses(pictures, folder, processes, accumulate):
    """Losses of a run by so many processes, each in a process of its own."""
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(TOML.format(photos=pictures, folder=folder, accumulate=accumulate))
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", str(processes)]
    command = [sys.executable, *launch, "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "--main_process_port", "0"]
    command += ["-m", "vcm", "train", "--config", str(config)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    return [json.loads(line)["loss"] for line in lines]


def test_two_processes_at_half_the_batch_and_parts_of_it_give_the_losses_of_one(pictures, tmp_path):
    one = losses(pictures, tmp_path / "one", 1, 1)
    assert losses(pictures, tmp_path / "two", 2, 1) == pytest.approx(one, rel=1e-3)
    assert losses(pictures, tmp_path / "parts", 2, 2) == pytest.approx(one, rel=1e-3)
    a, b = (checkpoint.load(tmp_path / n / "final.ckpt")["model"] for n in ("one", "two"))
    for name, value in a.items():
        assert torch.allclose(value, b[name], atol=2e-3), name


@pytest.fixture
def config(pictures, tmp_path):
    text = TOML.format(photos=pictures, folder=tmp_path, accumulate=1)
    (tmp_path / "c.toml").write_text(text)
    return toml.load(tmp_path / "c.toml", Training)


def test_a_batch_that_cannot_be_shared_is_refused(config):
    with pytest.raises(ModelError, match="multiple of 3, got 4"):
        next(train(replace(config, run=replace(config.run, accumulate=3))))


def test_ctrl_c_saves_the_last_step(config):
    stop = Event()
    records = train(config, stop=stop)
    next(records), next(records)
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        next(records)
    assert checkpoint.load(Path(config.run.folder) / "last.ckpt")["step"] == 2
    assert [r["step"] for r in train(config)] == [3, 4]


def test_a_run_that_diverges_stops_and_keeps_the_checkpoint_before(config, pictures):
    config = replace(
        config,
        optim=Optim(steps=200, warmup=1),
        run=replace(config.run, save_every=2, log_every=1000),
    )
    photos, held_out = load_photos(config.data)
    trainer = Trainer(config, photos)
    path = Path(config.run.folder) / "last.ckpt"
    steps = trainer.steps(photos, held_out, path)
    for _ in range(10):
        trainer.advance(batch(photos, config.data, config.run.seed, trainer.step))
    trainer.save(path)
    with torch.no_grad():
        trainer.all.model.g_s.tail.bias.fill_(50.0)  # as a step that went wrong
    with pytest.raises(ModelError, match=r"the run has diverged; lower optim.lr"):
        next(steps)
    assert checkpoint.load(path)["step"] == 10


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    checkpoint.save(path, {"step": 1})
    whole = path.read_bytes()

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(SystemExit):
        checkpoint.save(path, {"step": 2})
    assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]
