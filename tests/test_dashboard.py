"""The W&B workspace and report ask for keys that runs really have."""

import importlib.util
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")
HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dashboard():
    pytest.importorskip("wandb_workspaces", reason="needs: pip install 'vcm[dashboard]'")
    spec = importlib.util.spec_from_file_location("dashboard", HERE / "experiments/dashboard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(panels):
    """Names of metrics and media that panels show."""
    for panel in panels:
        for entry in [*(getattr(panel, "y", None) or []), *(getattr(panel, "metrics", None) or [])]:
            yield getattr(entry, "name", entry)
        yield from getattr(panel, "media_keys", None) or []


def test_panels_of_training_are_what_a_run_logs(dashboard):
    from vcm.track import training_values
    from vcm.train.check import SIGMAS
    from vcm.train.kinds import RoiStep
    from vcm.train.step import Terms

    record = dict.fromkeys((*Terms._fields, "lr", "seconds", "step"), 0.0)
    keys = ("bpp", "psnr", "bg", "task")
    record |= {f"q{q}_s{s}_{k}": 0.0 for q in RoiStep.qualities for s in SIGMAS for k in keys}
    logged = training_values(record).keys() | {"samples"}
    for section in dashboard.training():
        names = set(asked(section.panels))
        assert names and names <= logged


def test_bars_of_the_report_are_what_evaluations_log(dashboard):
    from vcm.track import summary

    study = json.loads((HERE / "experiments/04_tasks/results.json").read_text())
    logged = {name for report in study.values() for name in summary(report)}
    grids = [b for b in dashboard.report("me", "vcm").blocks if hasattr(b, "panels")]
    bars = {name for grid in grids[:2] for name in asked(grid.panels)}
    for head in ("bpp at 95 %", "BD-rate AP", "BD-rate ROI-PSNR"):
        assert {f"{head}/vcm, sigma 0.3", f"{head}/x265 4:2:0, QP map -8"} <= bars
        assert any(name in logged for name in bars if name.startswith(head))
    codecs = {c["name"] for report in study.values() for c in report["codecs"]}
    assert codecs <= set(dashboard.CODECS)
    assert dashboard.workspace("me", "vcm").sections[-1].name == "evaluation"
