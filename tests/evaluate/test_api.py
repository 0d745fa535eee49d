"""`vcm.evaluate`: the same numbers as the command's, without it."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import vcm
from vcm import image
from vcm.commands import eval as command
from vcm.dataset import load
from vcm.errors import MetricError, OutputError, SpecError
from vcm.evaluate.api import Plan, Report, prepared, to_json
from vcm.files import held
from vcm.report.text import lines
from vcm.roi.text import parse
from vcm.task import TaskSpec

CODECS = ("vcm:at=10/30/60/90", "jpeg:at=10/30/60/90", "jpeg+blur:at=10/30/60/90")
OWN = ("command", "date")  # of each process


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for name in ("cat", "person"):
        image.write(folder / f"{name}.png", photos[name][:170, :200])
    return folder


@pytest.fixture(scope="module")
def plan(folder, tiny_weights):
    words = parse("cat, person")
    task = TaskSpec("text", 1, "", words.phrases, words.exclude)
    told = Plan(task, "embedded", load(folder), CODECS, weights=str(tiny_weights))
    return prepared(told, perceptual=False)


@pytest.fixture(scope="module")
def report(plan):
    return vcm.evaluate(plan, workers=1)


@pytest.mark.slow
def test_it_gives_what_the_command_writes(plan, report, folder, tiny_weights, tmp_path):
    options = command.EvalOptions(
        task=None, text="cat, person", model="embedded", data=folder, only=None, photos=None,
        codecs=",".join(CODECS), roi="embedded", roi_weights=None, on_empty="whole",
        weights=str(tiny_weights), reference=None, workers=1, cache=None, no_cache=True,
        unchecked=False, wandb=None, perceptual=False,
    )  # fmt: skip
    assert command.planned(options, lambda line: None) == plan
    again = command.run(tmp_path, options, lambda line: None)
    written = json.loads((tmp_path / "results.json").read_text())
    mine = json.loads(json.dumps(to_json(report)))
    assert {k: v for k, v in mine.items() if k not in OWN} == {
        k: v for k, v in written.items() if k not in OWN
    }
    assert lines(again) == lines(report)


def test_the_report_is_typed_and_whole(report):
    assert isinstance(report, Report) and report.pictures == 2 and not report.failed
    assert [codec.ours for codec in report.codecs] == [True, False, False]
    assert report.reference == "JPEG" and report.roi.networks == ("embedded",)
    assert report.bd["PSNR"]["JPEG"].value == pytest.approx(0)
    ours = report.codecs[0]
    assert [p.bits for p in ours.points] == sorted(p.bits for p in ours.points)
    for point in ours.points:
        assert point.bpp.value == pytest.approx(point.bits / report.pixels)
        assert set(report.metrics()) <= point.scores.keys()
    assert {(p.codec, p.against) for p in report.pairs} == {
        (a.name, b.name) for i, a in enumerate(report.codecs) for b in report.codecs[i + 1 :]
    }


def test_a_number_that_is_not_there_has_a_reason_in_the_file(report):
    written = to_json(report)
    for metric, by_codec in report.bd.items():
        for name, found in by_codec.items():
            value = written["bd"][metric][name]
            assert value["value"] == found.value
            assert ("reason" in value) == (found.value is None) == bool(found.reason)
    for share, by_codec in report.bits_at.items():
        for name, found in by_codec.items():
            value = written["bits_at"][str(share)][name]
            assert value["value"] == found.value and ("at_most" in value) == bool(found.value)


@pytest.mark.slow
def test_what_is_in_a_folder_is_not_measured_again(plan, report, tmp_path):
    few = replace(plan, codecs=CODECS[1:])
    first = vcm.evaluate(few, tmp_path, workers=1)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.gz")}
    said = []
    assert vcm.evaluate(few, tmp_path, workers=1, say=said.append).codecs == first.codecs
    assert first.codecs == report.codecs[1:] and len(kept) == 2
    assert any("ROI: cat, person by embedded" in line for line in said)
    with held(tmp_path), pytest.raises(OutputError, match="another command"):
        vcm.evaluate(few, tmp_path, workers=1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codecs": ("jpeg", "jpeg")}, SpecError, "different codecs"),
        ({"codecs": ("jpg",)}, SpecError, "expected one of vcm"),
        ({"model": "magic"}, SpecError, "expected a .pt"),
        ({"reference": "webp"}, MetricError, "expected one of vcm"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(plan, change, error, message, tmp_path):
    with pytest.raises(error, match=message):
        vcm.evaluate(replace(plan, **change), tmp_path, workers=1)
    assert not list(tmp_path.iterdir())


def test_it_costs_nothing_until_it_is_called():
    code = "import sys, vcm; assert callable(vcm.evaluate); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
