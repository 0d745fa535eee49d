"""`vcm train` as people run it: lines, a plan, a sheet of pictures, W&B."""

import signal
import subprocess
import sys

import pytest

from vcm import image
from vcm.cli import main
from vcm.train import checkpoint

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


def test_a_plan_leaves_nothing_behind(config, tmp_path, capsys):
    path = config()
    assert run("train", "--config", path, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "2 to learn from, 2 held out, 1 skipped" in out and "seconds per step" in out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_a_run_in_the_background_saves_it(config, tmp_path, number):
    command = [sys.executable, "-m", "vcm", "train", "--config", config(), "optim.steps=1000000"]
    command.append(f'run.folder="{tmp_path / "run"}"')
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `... &`
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("step"))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert checkpoint.load(tmp_path / "run" / "last.ckpt")["step"] >= 2


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_logged_and_resumed_in_wandb(config, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs: pip install 'vcm[wandb]'")
    from offline import written

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    path = config(wandb="project")
    assert run("train", "--config", path) == 0
    values, ids = written(tmp_path / "run")
    assert values["train/loss"] > 0 and values["held out sigma 0.1/q50_s0.1_bpp"] > 0
    assert values["samples/path"].endswith(".png") and values["_step"] == 4
    text = (tmp_path / "c.toml").read_text().replace("steps = 4", "steps = 6")
    (tmp_path / "c.toml").write_text(text)
    assert run("train", "--config", path) == 0
    again, both = written(tmp_path / "run", exits=2)
    assert both == ids and again["_step"] == 6
