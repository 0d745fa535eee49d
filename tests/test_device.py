"""What the name of a device means, and that every command and every adapter takes one."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

import vcm
from vcm import dataset, image, ort
from vcm.cli import cli
from vcm.device import CUDA, computer, device_of, gpu_of
from vcm.errors import ModelError, SpecError
from vcm.evaluate.api import Plan, to_json
from vcm.evaluate.measure import Measurer
from vcm.models import ADAPTERS, load_model
from vcm.roi import backend_for, chosen_backend
from vcm.task import find_task

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said without a GPU")
CODE = """
class Own:
    name, tau, growth, kind, names = "own", 0.5, 1.0, "boxes", ("thing",)
    def __init__(self, device="the usual one"):
        self.device = device
    def similarity(self, image, phrases):
        return []
"""


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs, as far as torch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@NO_GPU
def test_without_a_gpu_auto_is_the_processor() -> None:
    assert device_of("cpu") == device_of("auto") == torch.device("cpu")
    assert gpu_of("cpu") is gpu_of("auto") is None
    for call in (device_of, gpu_of):
        with pytest.raises(SpecError, match="device cuda: there are 0 CUDA devices here"):
            call("cuda")
        with pytest.raises(SpecError, match="expected auto, cpu or cuda, got 'tpu'"):
            call("tpu")


@pytest.mark.parametrize(("name", "number"), [("cpu", None), ("auto", 0), ("cuda:1", 1)])
def test_onnxruntime_gets_the_same_gpu(
    name: str, number: int | None, gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device_of("auto") == torch.device("cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "others"])
    assert gpu_of(name) == number
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["others"])
    if name.startswith("cuda"):
        with pytest.raises(SpecError, match="onnxruntime has no CUDA; install onnxruntime-gpu"):
            gpu_of(name)
    else:
        assert gpu_of(name) is None


def test_a_gpu_that_onnxruntime_leaves_out_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def session(source: Any, options: Any, providers: Any) -> Any:
        told.extend(providers)
        return SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(ModelError, match="net: onnxruntime cannot use GPU 1"):
        ort.Session(b"", "net", gpu=1)
    assert told[0][0] == CUDA == ort.CUDA and told[0][1]["device_id"] == 1


@NO_GPU
@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_every_adapter_refuses_a_gpu_that_is_not_there(adapter: str) -> None:
    if adapter == "tflite":
        pytest.importorskip("ai_edge_litert", reason="needs: pip install 'vcm[tflite]'")
    if adapter in ("hf", "yolo"):
        package = {"hf": "transformers", "yolo": "ultralytics"}[adapter]
        pytest.importorskip(package, reason="needs the adapter's package")
    with pytest.raises(SpecError, match="device cuda: there are 0 CUDA devices"):
        load_model(f"{adapter}:nowhere", "cuda")


@NO_GPU
@pytest.mark.parametrize("name", ["embedded", "auto", "segmenter", "clipseg", "grounding"])
def test_every_backend_refuses_a_gpu_that_is_not_there(name: str) -> None:
    with pytest.raises(SpecError, match="device cuda: there are 0 CUDA devices"):
        chosen_backend(name, None, 1, "cuda")


def test_a_class_of_ones_own_is_told_of_a_device_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    name = f"{tmp_path / 'mine.py'}:Own"
    task = find_task("coco-person")
    for device, told in (("cpu", "the usual one"), ("auto", "auto")):
        assert load_model(name, device).device == told  # type: ignore[attr-defined]
        assert backend_for(task, name, device=device).device == told  # type: ignore[attr-defined]


@NO_GPU
def test_vcm_eval_takes_a_device(cat: Any, tmp_path: Path) -> None:
    image.write(tmp_path / "cat.png", cat)
    line = ["eval", "--text", "cat", "--model", "embedded", "--data", str(tmp_path)]
    line += ["--codecs", "jpeg", "--no-cache", "-o", str(tmp_path / "out"), "--device", "cuda"]
    failed = CliRunner().invoke(cli, line)
    assert failed.exit_code == 2 and "vcm: device cuda: there are 0 CUDA devices" in failed.stderr


@NO_GPU
@pytest.mark.parametrize("command", ["encode", "roi"])
def test_commands_take_a_device(
    command: str,
    cat: Any,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    image.write(Path("cat.png"), cat)
    output = "a.vcm" if command == "encode" else "a.png"
    line = [command, "cat.png", "--text", "cat", "-o", output]
    line += ["--weights", str(tiny_weights)] if command == "encode" else []
    failed = CliRunner().invoke(cli, [*line, "--device", "cuda"])
    assert failed.exit_code == 2 and "vcm: device cuda: there are 0 CUDA devices" in failed.stderr
    assert not Path(output).exists()
    made = []
    for device in ("cpu", "auto"):
        done = CliRunner().invoke(cli, [*line, "--device", device])
        assert done.exit_code == 0, done.output
        made.append(Path(output).read_bytes())
        Path(output).unlink()
    assert made[0] == made[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_words_find_the_same_on_a_gpu(cat: Any) -> None:
    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-gpu")
    maps = [next(iter(chosen_backend("embedded", None, 1, device).similarity(cat, ["cat"])))
            for device in ("cpu", "cuda")]  # fmt: skip
    assert np.abs(maps[0] - maps[1]).max() < 0.02
    labels = [load_model("embedded", device).segment(cat) for device in ("cpu", "cuda")]  # type: ignore[attr-defined]
    assert (labels[0] == labels[1]).mean() > 0.99


def planned(folder: Path, weights: Path, device: str) -> Plan:
    """A plan with a task model and a backend that take a device of any name."""
    (folder / "mine.py").write_text(CODE)
    own = f"{folder / 'mine.py'}:Own"
    task, data, codecs = find_task("coco-animals"), dataset.load(folder), ("vcm:at=50",)
    return Plan(task, own, data, codecs, own, weights=str(weights), device=device)


@NO_GPU
def test_the_device_of_a_plan_reaches_model_backend_and_codec(
    cat: Any, tmp_path: Path, tiny_weights: Path
) -> None:
    image.write(tmp_path / "cat.png", cat)
    plan = planned(tmp_path, tiny_weights, "cuda")
    jpeg = replace(plan, codecs=("jpeg",))  # it, and model and backend of the file, take any name
    assert Measurer(jpeg).model.device == "cuda"  # type: ignore[attr-defined]
    for refuses in (plan, replace(jpeg, roi="embedded")):  # our codec, the built-in network
        with pytest.raises(SpecError, match="device cuda: there are 0 CUDA devices here"):
            Measurer(refuses)


@NO_GPU
def test_an_evaluation_names_what_it_computed_on(
    cat: Any, tmp_path: Path, tiny_weights: Path
) -> None:
    image.write(tmp_path / "cat.png", cat)
    auto = planned(tmp_path, tiny_weights, "auto")
    plan = replace(auto, model="embedded", roi="embedded")
    report = vcm.evaluate(replace(plan, unchecked=True), workers=1)
    assert to_json(report)["device"] == computer("cpu") == "cpu"
    assert plan.key == replace(plan, device="cpu").key


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_evaluation_on_a_gpu_is_nearly_that_on_the_processor(
    cat: Any, tmp_path: Path, tiny_weights: Path
) -> None:
    image.write(tmp_path / "cat.png", cat)
    auto = planned(tmp_path, tiny_weights, "auto")
    plan = replace(auto, model="embedded", roi="embedded")
    codec: Any = Measurer(plan).codecs["vcm:at=50"]
    assert codec.codec.encoder.device.type == "cuda"
    there, here = (
        vcm.evaluate(replace(plan, device=device, unchecked=True), workers=1)
        for device in ("auto", "cpu")
    )
    assert there.provenance["device"] == computer("cuda") and here.provenance["device"] == "cpu"
    assert plan.key != replace(plan, device="cpu").key
    bits = [report.codecs[0].points[0].bits for report in (there, here)]
    assert bits[0] == pytest.approx(bits[1], rel=0.01)
