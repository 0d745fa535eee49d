"""Training by several processes, in parts, stopped and diverging."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

import psutil
import pytest
import torch
from running import running

from vcm import image, toml
from vcm.errors import ModelError, SpecError
from vcm.train import checkpoint
from vcm.train.config import Optim, Training
from vcm.train.data import Own, batch
from vcm.train.loop import steps, train
from vcm.train.photos import load_photos
from vcm.train.trainer import Trainer

pytestmark = pytest.mark.slow  # several processes

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
    """Losses of a run by this process, or by two of their own."""
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(TOML.format(photos=pictures, folder=folder, accumulate=accumulate))
    if processes == 1:
        list(train(toml.load(config, Training)))
        return logged(folder)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *launch, "-m", "vcm", "train", "--config", str(config)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("folder ") == 1  # one speaks for all
    return logged(folder)


def logged(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    return [json.loads(line)["loss"] for line in lines]


def test_two_processes_at_half_the_batch_and_parts_of_it_give_the_losses_of_one(pictures, tmp_path):
    one = losses(pictures, tmp_path / "one", 1, 1)
    assert losses(pictures, tmp_path / "part", 1, 2) == pytest.approx(one, rel=1e-5)
    assert losses(pictures, tmp_path / "both", 2, 2) == pytest.approx(one, rel=1e-5)
    a, b = (checkpoint.load(tmp_path / n / "final.ckpt")["model"] for n in ("one", "both"))
    for name, value in a.items():
        assert torch.allclose(value, b[name], rtol=1e-3, atol=1e-5), name


def test_two_processes_that_are_stopped_stop_at_one_step(pictures, tmp_path):
    config = tmp_path / "config.toml"
    text = TOML.format(photos=pictures, folder=tmp_path / "run", accumulate=1)
    config.write_text(text.replace("steps = 4", "steps = 1_000_000"))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launch, "-m", "vcm", "train", "--config", str(config)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with running(command, env=environment) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("step"))
        ranks = psutil.Process(process.pid).children()
        next(r for r in ranks if r.environ()["RANK"] == "1").send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert errors.count("stopped; saved") == 1
    assert checkpoint.load(tmp_path / "run" / "last.ckpt")["step"] >= 1


def test_parts_of_a_batch_are_the_batch(config):
    photos, _ = load_photos(config.data)
    whole = batch(photos, config.data, 1, 7)
    parts = [batch(photos, config.data, 1, 7, Own(number, 2)) for number in range(2)]
    for all_of_it, halves in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(all_of_it, torch.cat(halves))
    with pytest.raises(SpecError, match="multiple of 3 processes, got 4"):
        batch(photos, config.data, 1, 7, Own(0, 3))


ELSEWHERE = """
import os, sys
from dataclasses import replace
from pathlib import Path
from vcm import toml
from vcm.errors import ModelError
from vcm.train.config import Training
from vcm.train.loop import train
config = toml.load(Path(sys.argv[1]), Training)
folder = config.run.folder + os.environ["RANK"]  # as on a machine of its own
try:
    list(train(replace(config, run=replace(config.run, folder=folder))))
except ModelError as error:
    print(error)
"""


def test_processes_that_do_not_share_the_folder_are_told(config, tmp_path):
    list(train(replace(config, run=replace(config.run, folder=config.run.folder + "0"))))
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launch, str(tmp_path / "elsewhere.py"), str(tmp_path / "c.toml")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.count("begin at steps [0, 4]: all machines must see") == 2, done.stderr


def test_a_signal_to_workers_too_saves(config, tmp_path):
    path = tmp_path / "long.toml"
    text = (tmp_path / "c.toml").read_text().replace("steps = 4", "steps = 1_000_000")
    path.write_text(f"{text}\nworkers = 2\n")
    with running([sys.executable, "-m", "vcm", "train", "--config", str(path)]) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("step"))
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "stopped; saved" in errors, errors
    assert checkpoint.step_of(Path(config.run.folder) / "last.ckpt") >= 1


@pytest.fixture
def config(pictures, tmp_path):
    text = TOML.format(photos=pictures, folder=tmp_path, accumulate=1)
    (tmp_path / "c.toml").write_text(text)
    return toml.load(tmp_path / "c.toml", Training)


def test_a_batch_that_cannot_be_shared_is_refused(config):
    with pytest.raises(SpecError, match="multiple of 3, got 4"):
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
    records = steps(trainer, photos, held_out)
    for _ in range(10):
        trainer.advance(batch(photos, config.data, config.run.seed, trainer.step))
    trainer.save(path)
    with torch.no_grad():
        trainer.all.model.decoder.g_s.tail.bias.fill_(50.0)  # as a step that went wrong
    with pytest.raises(ModelError, match=r"diverged; the same command with a lower optim.lr"):
        next(records)
    assert checkpoint.load(path)["step"] == 10


def test_a_loss_a_few_times_the_usual_never_becomes_usual(config, pictures):
    photos, _ = load_photos(config.data)
    trainer = Trainer(config, photos)
    for _ in range(3):
        trainer.advance(batch(photos, config.data, config.run.seed, trainer.step))
    usual = trainer.health.loss
    with pytest.raises(ModelError, match=r"run\.folder=.* goes on from the last checkpoint"):
        for _ in range(60):
            trainer._move(4 * usual)
    assert trainer.health.loss == usual
    trainer.health.far = 0
    for parameter in trainer.all.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    with pytest.raises(ModelError, match="diverged"):
        trainer._move(usual)


KILLED = """
import os, signal, sys
from pathlib import Path
from vcm import toml
from vcm.train import checkpoint
from vcm.train.config import Training
from vcm.train.loop import train

real, count = os.fsync, 0

def fsync(number):
    global count
    count += 1
    if count == 3:  # after held_out.json, in the middle of the second checkpoint
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)

os.fsync = fsync
for record in train(toml.load(Path(sys.argv[1]), Training)):
    print(record["step"], flush=True)
"""


def test_a_run_killed_while_it_saves_goes_on_as_if_it_had_not_been(config, tmp_path):
    def told(folder, save_every):
        text = (tmp_path / "c.toml").read_text().replace(f'folder = "{tmp_path}"', "")
        path = tmp_path / f"{folder}.toml"
        path.write_text(f'{text}folder = "{tmp_path / folder}"\nsave_every = {save_every}\n')
        return path

    broken, whole = told("broken", 1), told("whole", 100)
    killed = subprocess.run([sys.executable, "-c", KILLED, broken], check=False)
    assert killed.returncode == -signal.SIGKILL
    folder = tmp_path / "broken"
    assert checkpoint.load(folder / "last.ckpt")["step"] == 1
    assert list(folder.glob(".vcm-*.tmp"))
    for path in (broken, whole):
        list(train(toml.load(path, Training)))
    a, b = (checkpoint.load(tmp_path / n / "final.ckpt") for n in ("broken", "whole"))
    for key in ("model", "average"):
        assert all(torch.equal(value, b[key][name]) for name, value in a[key].items())
    moments = [s["optimiser"]["state"] for s in (a, b)]
    assert all(
        torch.equal(m["exp_avg_sq"], moments[1][i]["exp_avg_sq"]) for i, m in moments[0].items()
    )
    assert not list(folder.glob(".vcm-*.tmp"))
    logs = [(tmp_path / n / "log.jsonl").read_text().splitlines() for n in ("broken", "whole")]
    steps, losses = ([[json.loads(r)[k] for r in log] for log in logs] for k in ("step", "loss"))
    assert steps[0] == steps[1] == [1, 2, 3, 4] and losses[0] == losses[1]


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
