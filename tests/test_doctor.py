"""`vcm doctor`: what is there is found, and what is not gets a sentence."""

import inspect
import json
import shutil
import tomllib
from pathlib import Path

import pytest

from vcm import weightfile
from vcm.cli import main
from vcm.codec.runtime.weights import load
from vcm.commands import doctor
from vcm.provenance import versions

METADATA = """Metadata-Version: 2.1
Name: vcm
Version: 9
Requires-Dist: numpy>=1
Requires-Dist: nothing-of-this-name>=1; extra == "lacking"
Requires-Dist: vcm[lacking]; extra == 'nested'
Requires-Dist: pillow<99,>=1; python_version > "3" and extra == "nested"
Requires-Dist: numpy; extra == "there"
"""


@pytest.fixture(scope="module")
def report() -> doctor.Report:
    return doctor.run()


def test_versions_models_and_devices(report: doctor.Report) -> None:
    assert report["versions"].items() >= versions().items()
    found = {model["name"]: model for model in report["models"]}
    assert found["codec-base"]["fingerprint"] == load("base").fingerprint.hex()
    assert all(model["error"] is None for model in found.values())
    assert isinstance(report["devices"]["exact_bytes"], bool)


def test_the_report_for_people_and_for_programs(
    report: doctor.Report, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out) == report
    text = "\n".join(doctor.lines(report))
    assert "codec-base" in text and "SHA-256 right" in text
    for sentence in report["missing"]:
        assert sentence in text and sentence.endswith(".")


def test_extras_are_those_of_the_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vcm-9.dist-info").mkdir()
    (tmp_path / "vcm-9.dist-info" / "METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)
    extras = doctor.run()["extras"]
    assert extras == {
        "lacking": ["nothing-of-this-name"],
        "nested": ["nothing-of-this-name"],
        "there": [],
    }


def test_what_each_extra_is_for_is_said() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(doctor.FOR) == set(project["optional-dependencies"])


def test_a_damaged_model_is_found(
    report: doctor.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "weights"
    shutil.copytree(weightfile.BUILT_IN, copy)
    path = copy / "roi-base.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(weightfile, "BUILT_IN", copy)
    (sentence,) = [s for s in doctor.run()["missing"] if s.startswith("Model")]
    assert "roi-base" in sentence and "damaged; get a fresh copy" in sentence


def test_downloaded_weights_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert doctor.run()["downloads"] == {"clipseg": False, "grounding": False}
    snapshot = tmp_path / "models--CIDAS--clipseg-rd64-refined" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert doctor.run()["downloads"] == {"clipseg": True, "grounding": False}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"extras": {"yolo": ["ultralytics"]}}, "pip install 'vcm[yolo]'"),
        ({"models": []}, "no built-in models"),
        ({"downloads": {"clipseg": False}}, "--roi-weights FOLDER"),
        ({"encoders": None}, "pip install 'vcm[anchors]'"),
        ({"encoders": ["x265", "svt-av1", "kvazaar"]}, "no encoder for vvenc"),
        ({"devices": {"cuda": None, "exact_bytes": True}}, "no CUDA device"),
        ({"devices": {"cuda": "H100", "exact_bytes": False}}, "no exact byte convolutions"),
    ],
)
def test_each_missing_thing_has_one_sentence(change: doctor.Report, sentence: str) -> None:
    whole = {
        "extras": {"yolo": []},
        "models": [{"name": "codec-base", "error": None}],
        "downloads": {"clipseg": True},
        "encoders": list(doctor.ENCODERS),
        "devices": {"cuda": "H100", "exact_bytes": True},
    }
    assert list(doctor.missing(whole)) == []
    (found,) = doctor.missing(whole | change)
    assert sentence in found


def test_default_weights_of_backends_are_named() -> None:
    from vcm.roi.clipseg import ClipSeg
    from vcm.roi.grounding import Grounding

    for name, backend in {"clipseg": ClipSeg, "grounding": Grounding}.items():
        assert doctor.HUB[name] == inspect.signature(backend).parameters["weights"].default
