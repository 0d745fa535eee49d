"""`vcm train` as people run it: lines, a plan, a sheet of pictures, W&B."""

import csv
import importlib.util
import io
import json
import signal
import sys
from collections import deque

import pytest
from rich.console import Console
from running import running

from vcm import image, toml
from vcm.cli import main
from vcm.codec.api import Codec
from vcm.codec.runtime.weights import load
from vcm.commands.train import _stopped, _table
from vcm.files import held
from vcm.provenance import commit
from vcm.report import training
from vcm.train import checkpoint
from vcm.train.config import Training

pytestmark = pytest.mark.slow  # whole trainings

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
batch = 2
held_out = 2
[optim]
steps = 4
warmup = 1
[run]
folder = "{folder}"
precision = "fp32"
log_every = 2
check_every = 2
wandb = "{wandb}"
"""


@pytest.fixture
def config(tmp_path, photos):
    """Makes a config file; W&B's project is the argument."""
    pictures = tmp_path / "photos"
    pictures.mkdir()
    for i in range(4):
        image.write(pictures / f"{i}.png", photos["cat"][:, i * 40 : i * 40 + 300])
    (pictures / "broken.png").write_bytes(b"junk")

    def make(wandb=""):
        text = TOML.format(photos=pictures, folder=tmp_path / "run", wandb=wandb)
        (tmp_path / "c.toml").write_text(text)
        return str(tmp_path / "c.toml")

    return make


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_lines_and_a_sheet_of_pictures(config, tmp_path, capsys):
    assert run("train", "--config", config()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("step")] == ["2/4", "4/4"]
    assert sum("held out, even: q0:" in line for line in lines) == 2
    sheet = image.read(tmp_path / "run" / "samples.png")
    assert sheet.shape[1] > 3 * 64 and len(set(map(tuple, sheet.reshape(-1, 3)))) > 100
    assert checkpoint.load(tmp_path / "run" / "final.ckpt")["step"] == 4
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    logged = [
        json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    ]
    assert [float(row["loss"]) for row in rows] == [record["loss"] for record in logged]
    page = (tmp_path / "run" / "index.html").read_text()
    assert page.count('src="data:image/svg') == 2 and page.count('src="data:image/png') == 1
    assert "[optim]" in page and "http:" not in page.replace("http://www.w3.org", "")
    for record in logged:
        assert record["roi"] + record["background"] > 0


def test_a_log_that_an_older_version_began_goes_on_a_page(tmp_path):
    old = {"step": 1, "loss": 2.0, "bpp": 1.0, "mse": 0.1, "task": 0.0, "seconds": 0.5, "lr": 1e-4}
    new = old | {"step": 2, "roi": 0.06, "background": 0.04}
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (old, new)))
    training.write(tmp_path, {}, {})
    assert "<h1>" in (tmp_path / "index.html").read_text()
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["roi"] for row in rows] == ["", "0.06"]


def test_without_wandb_a_run_goes_on_with_its_page(config, tmp_path, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "vcm.commands.train.find_spec", lambda name: None if name == "wandb" else real(name)
    )
    assert run("train", "--config", config(wandb="project")) == 0
    assert "wandb is not installed" in capsys.readouterr().err
    assert (tmp_path / "run" / "index.html").is_file()


def test_without_accelerate_it_says_what_to_install(config, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "vcm.cli.find_spec", lambda name: None if name == "accelerate" else real(name)
    )
    assert run("train", "--config", config()) == 2
    assert "pip install 'vcm[train]'" in capsys.readouterr().err


def test_a_second_run_in_a_folder_leaves_the_first_one_s_wandb_alone(
    config, tmp_path, wandb_offline
):
    path = config(wandb="project")
    (tmp_path / "run").mkdir()
    with held(tmp_path / "run"):
        assert run("train", "--config", path) == 2
    assert not list((tmp_path / "run").iterdir())


def test_the_live_table_shows_the_last_records_and_the_check(config):
    record = dict.fromkeys(("loss", "bpp", "mse", "roi", "background", "task"), 0.5)
    record |= {"step": 100, "seconds": 0.25, "lr": 1e-4}
    checked = record | {
        f"q{q}_s{s}_{k}": 30.0 for q in (0, 50) for s in (1.0, 0.1) for k in ("bpp", "psnr", "bg")
    }
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(_table(deque([record, checked]), checked, toml.load(config(), Training)))
    text = console.export_text()
    assert text.count("100/4") == 2 and text.count("30.00→30.0") == 4 and "sigma 0.1" in text


def test_a_plan_leaves_nothing_behind(config, tmp_path, capsys):
    path = config()
    assert run("train", "--config", path, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "2 to learn from, 2 held out, 1 skipped" in out and "seconds per step" in out
    assert not (tmp_path / "run").exists()


def test_a_run_stopped_before_its_first_record_says_so(config, tmp_path, capsys):
    told = toml.load(config(), Training)
    _stopped(told, tmp_path)  # nothing is there yet
    (tmp_path / "log.jsonl").touch()
    _stopped(told, tmp_path)
    assert capsys.readouterr().err.count("stopped; before anything was saved") == 2
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_a_run_in_the_background_saves_it(config, tmp_path, number):
    command = [sys.executable, "-m", "vcm", "train", "--config", config(), "optim.steps=1000000"]
    command.append(f'run.folder="{tmp_path / "run"}"')
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `... &`
    try:
        with running(command) as process:
            signal.signal(signal.SIGINT, ignored)
            assert process.stdout is not None
            next(line for line in process.stdout if line.startswith("step"))
            process.send_signal(number)
            process.send_signal(signal.SIGTERM)  # as torchrun passes it on
            process.communicate(timeout=60)
            assert process.returncode == 130
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert checkpoint.load(tmp_path / "run" / "last.ckpt")["step"] >= 2


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_logged_and_resumed_in_wandb(config, tmp_path, wandb_offline):
    from offline import written

    path = config(wandb="project")
    assert run("train", "--config", path) == 0
    values, ids = written(tmp_path / "run")
    assert values["train/loss"] > 0 and values["held out sigma 0.1/q50_s0.1_bpp"] > 0
    assert values["samples/path"].endswith(".png") and values["train/step"] == 4
    assert values["train/roi"] > 0 and values["train/background"] >= 0
    assert values["config/data"]["crop"] == 64 and values["config/run"]["wandb"] == "project"
    assert values["config/provenance"]["commit"] == commit()
    assert values["artifact/model"] == ["codec.safetensors"]
    assert load(tmp_path / "run" / "codec.safetensors").model.sizes.M == 12
    text = (tmp_path / "c.toml").read_text().replace("steps = 4", "steps = 6")
    (tmp_path / "c.toml").write_text(text)
    assert run("train", "--config", path) == 0
    again, both = written(tmp_path / "run", exits=2)
    assert both == ids and again["train/step"] == 6
    base, tuned = tmp_path / "run" / "codec.safetensors", tmp_path / "tuned"
    more = [f"run.folder={tuned}", f"run.initial={base}", "run.learn=encoder"]
    assert run("train", "--config", path, *more) == 0
    encoder = (tuned / "codec.safetensors").rename(base.with_name("encoder.safetensors"))
    assert Codec.load(encoder).fingerprint == Codec.load(base).fingerprint
    assert encoder.stat().st_size < base.stat().st_size
