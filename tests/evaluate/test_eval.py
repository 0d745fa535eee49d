"""`vcm eval` as people run it: on photos without labels, with what the package brings."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import psutil
import pytest
from evaluated import ran

from vcm import image
from vcm.cli import cli, main
from vcm.commands import eval as command
from vcm.commands.hints import helped
from vcm.errors import ImageError, MetricError, SpecError
from vcm.evaluate import run
from vcm.evaluate.expected import check_expected, main_metric
from vcm.evaluate.measure import Measurer
from vcm.evaluate.record import to_json as kept
from vcm.evaluate.score import Scores
from vcm.scale.local import Processes
from vcm.task import Expected

pytestmark = pytest.mark.slow  # whole evaluations

CODECS = "vcm,vcm:sigma=1:at=10/30/50/70/90,jpeg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for name, photo in photos.items():
        image.write(folder / f"{name}.png", photo[:200, :290])
    (folder / "broken.png").write_bytes(b"\x89PNG but no more")
    return folder


@pytest.fixture(scope="module")
def options(folder, tiny_weights, tmp_path_factory):
    return command.EvalOptions(
        task=None, text="cat, person", model="embedded", data=folder, only=None, photos=None,
        codecs=CODECS, roi="embedded", roi_weights=None, on_empty="whole",
        weights=str(tiny_weights), reference=None, workers=2,
        cache=tmp_path_factory.mktemp("cache"), no_cache=False, unchecked=False, wandb=None,
        perceptual=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def out(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "first"
    said: list[str] = []
    ran(out, options, said.append)
    assert any("uncompressed agreement mIoU 100.0" in line for line in said)
    return out


@pytest.fixture(scope="module")
def report(out):
    return json.loads((out / "results.json").read_text())


def test_the_report_says_what_was_measured(report):
    assert report["metric"] == "agreement mIoU"
    assert report["data"]["pictures"] == 3 and list(report["failed"]) == ["broken.png"]
    assert [c["text"] for c in report["codecs"]] == CODECS.split(",")
    assert report["reference"] == "JPEG"
    for codec in report["codecs"]:
        rates = [p["bpp"]["value"] for p in codec["points"]]
        assert rates == sorted(rates) and len(rates) >= 5
        for point in codec["points"]:
            assert point["bpp"]["low"] <= point["bpp"]["value"] <= point["bpp"]["high"]
            assert 0 <= point["scores"]["agreement mIoU"]["value"] <= 100
    assert report["bd"]["PSNR"]["JPEG"]["value"] == pytest.approx(0)
    assert report["versions"]["torch"] and report["machine"]


def test_bits_are_those_of_the_files(report, out, folder, options):
    rows = list(csv.DictReader((out / "pictures.csv").read_text().splitlines()))
    jpeg = report["codecs"][2]["points"][0]
    mine = [r for r in rows if r["codec"] == "jpeg" and float(r["setting"]) == jpeg["setting"]]
    assert len(mine) == 3
    assert jpeg["bits"] == sum(8 * int(r["bytes"]) for r in mine)
    pixels = sum(image.read(folder / r["picture"])[..., 0].size for r in mine)
    assert jpeg["bpp"]["value"] == pytest.approx(jpeg["bits"] / pixels)


def test_a_reference_that_is_not_measured_is_refused_before_any_work(options):
    with pytest.raises(MetricError, match="reference webp: expected one of vcm, vcm:sigma"):
        command.planned(replace(options, reference="webp"), lambda line: None)


def test_the_page_is_one_file_that_loads_nothing(out, report):
    html = (out / "index.html").read_text()
    assert "http:" not in html and "https:" not in html and 'src="data:' in html
    for codec in report["codecs"]:
        assert codec["name"] in html
    assert "scores flatter the codec" in html  # ROI and task come from one network
    assert (out / "agreement-mIoU.png").read_bytes().startswith(b"\x89PNG")


def test_one_worker_or_two_stopped_or_not_the_result_is_the_same(options, report, tmp_path):
    plan = command.planned(replace(options, workers=1, no_cache=True), lambda line: None)
    one = Processes(1)
    for count, _ in enumerate(run.measured(plan.without_codecs(), tmp_path / "pictures", one)):
        if count == 1:
            break  # as if stopped
    again = ran(tmp_path, replace(options, workers=1, no_cache=True), lambda line: None)
    skip = ("date", "command", "commit")
    same = json.loads(json.dumps({k: v for k, v in again.items() if k not in skip}))
    assert same == {k: v for k, v in report.items() if k not in skip}


def test_workers_end_with_a_parent_that_was_killed():
    code = (
        "import os, time; from concurrent.futures import ProcessPoolExecutor as Pool\n"
        "from multiprocessing import get_context; from vcm.scale.local import start\n"
        "if __name__ == '__main__':\n"
        "    pool = Pool(1, get_context('spawn'), start)\n"
        "    print(pool.submit(os.getpid).result(), flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        parent.kill()
    assert psutil.wait_procs([worker], timeout=60) == ([worker], [])


def test_a_codec_more_measures_only_that_codec(options, out, monkeypatch):
    plan = command.planned(replace(options, codecs=CODECS + ",webp"), lambda line: None)
    measurer = Measurer(plan)
    photo = plan.data.photos[-1]
    known = run.load(out / "pictures", photo, plan)
    coded = []

    def refused(self, text, *rest):
        coded.append(text)
        raise ImageError(text)

    monkeypatch.setattr(Measurer, "coded", refused)
    before = json.dumps(kept(known)["codecs"]["jpeg"])
    record = measurer.record(photo, known)
    assert record.codecs["webp"].error
    assert coded == ["webp"]
    assert json.dumps(kept(record)["codecs"]["jpeg"]) == before


def test_an_unexpected_score_stops_before_anything_is_coded(options):
    plan = command.planned(options, lambda line: None)
    task = replace(
        plan.task, model="embedded", weights="embedded", data=plan.data.name, metric="mIoU",
        expected=Expected(70, 0.5),
    )  # fmt: skip
    plan = replace(plan, task=task)
    good = Scores({"mIoU": np.array([70.4])}, {})
    assert "as task text expects" in check_expected(plan, good)
    bad = Scores({"mIoU": np.array([69.4])}, {})
    with pytest.raises(MetricError, match=r"69.4, task text expects 70 ± 0.5") as caught:
        check_expected(plan, bad)
    with click.Context(cli.commands["eval"]):
        assert helped(caught.value).endswith("; --unchecked goes on all the same")
    part = replace(plan, data=replace(plan.data, part=True))
    assert check_expected(part, bad) == "uncompressed mIoU 69.4"
    others = (Expected(60, 0.5, weights="other.onnx"), Expected(50, 0.5, only="split=b"))
    plan = replace(plan, task=replace(task, also=others))
    assert "as task text expects" in check_expected(plan, good)
    for model, only, score in (("onnx:a/other.onnx", None, 60.0), ("embedded", "split=b", 50.0)):
        other = replace(plan, model=model, data=replace(plan.data, only=only))
        assert "as task" in check_expected(other, Scores({"mIoU": np.array([score])}, {}))
        with pytest.raises(MetricError, match=f"expects {score:g}"):
            check_expected(other, good)
    unknown = replace(plan, model="onnx:a/third.onnx")
    assert check_expected(unknown, bad) == "uncompressed mIoU 69.4"
    assert main_metric(task, {"AP": 1, "mIoU": 2}) == "mIoU"
    assert main_metric(task, {"agreement AP": 1, "agreement mIoU": 2}) == "agreement mIoU"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "either --task or --text"),
        ({"task": "coco-person"}, "either --task or --text"),
        ({"codecs": "jpeg,jpeg"}, "different codecs"),
        ({"codecs": " , "}, "different codecs"),
        ({"codecs": "jpg"}, "expected one of vcm"),
        ({"workers": 0}, "workers: expected"),
        ({"model": None}, "names no model"),
        ({"photos": 0}, "photos: expected 1 or more"),
    ],
)
def test_options_that_cannot_be(options, change, message):
    with pytest.raises(SpecError, match=message):
        command.planned(replace(options, **change), lambda line: None)


def test_a_model_that_cannot_be_is_said_before_the_work(options, tmp_path):
    with pytest.raises(SpecError, match=r"expected a .pt, .onnx or .tflite file, FILE.py:NAME"):
        ran(tmp_path, replace(options, model="magic"), lambda line: None)
    assert not list(tmp_path.rglob("*.gz"))


def test_the_command_line(folder, tiny_weights, tmp_path, capsys):
    arguments = ["eval", "--text", "cat", "--model", "embedded", "--data", str(folder)]
    arguments += ["--photos", "2", "--codecs", "jpeg:at=10/30/50/70/90", "--weights"]
    arguments += [str(tiny_weights), "-o", str(tmp_path / "o"), "--no-cache", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 2  # the broken picture is reported
    report = json.loads(capsys.readouterr().out)
    assert report["failed"] and report["codecs"][0]["name"] == "JPEG"
    assert Path(tmp_path / "o" / "index.html").is_file()
