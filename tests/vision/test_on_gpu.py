"""Task models on a GPU see what they see on the processor; `tests/gpu.sh` runs all of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vcm.device import CUDA
from vcm.models import load_model, load_teacher
from vcm.vision.importance import importance

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
FOLDERS = ("detr", "rt_detr", "yolos", "segformer", "mask2former")
FILES = {
    "yolo11n.pt": "ultralytics",
    "yolov8n-seg.pt": "ultralytics",
    "picodet_s_416_coco.onnx": "onnxruntime",
}


def check_alike(name: str, picture: NDArray[np.uint8]) -> None:
    """The surest objects are the same ones, or nearly all labels."""
    models: list[Any] = [load_model(name, device) for device in ("cpu", "cuda")]
    if models[0].kind == "semantic":
        here, there = (model.segment(picture) for model in models)
        assert (here == there).mean() > 0.98
        return
    here, there = (model.detect(picture).above(0.3) for model in models)
    assert len(here.scores) == len(there.scores)
    assert there.scores == pytest.approx(here.scores, abs=0.02)
    assert sorted(there.labels) == sorted(here.labels)
    assert (here.masks is None) == (there.masks is None)


@pytest.mark.parametrize("kind", FOLDERS)
def test_models_of_transformers(
    kind: str, picture: NDArray[np.uint8], request: pytest.FixtureRequest
) -> None:
    check_alike(f"hf:{request.getfixturevalue(f'{kind}_folder')}", picture)


@pytest.mark.parametrize("name", sorted(FILES))
def test_models_of_files(name: str, shared: Path, cat: NDArray[np.uint8]) -> None:
    pytest.importorskip(FILES[name], reason="needs the adapter's package")
    if name.endswith(".onnx"):
        import onnxruntime

        if CUDA not in onnxruntime.get_available_providers():
            pytest.skip("needs onnxruntime-gpu")
    check_alike(str(shared / "weights" / name), cat)


@pytest.mark.parametrize(
    "name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "lraspp_mobilenet_v3_large"]
)
def test_models_of_torchvision(
    name: str, tmp_path: Path, picture: NDArray[np.uint8], seed: int
) -> None:
    from torchvision import models

    net = models.get_model(name, weights=None, weights_backbone=None)
    torch.save(net.state_dict(), tmp_path / "x.pth")
    check_alike(f"torchvision:{name}={tmp_path / 'x.pth'}", picture)


def test_importance(shared: Path, cat: NDArray[np.uint8]) -> None:
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    x = torch.from_numpy(cat[:256, :256].copy()).permute(2, 0, 1)[None] / 255
    found = []
    for device in ("cpu", "cuda"):
        teacher = load_teacher(str(shared / "weights" / "yolo11n.pt"), device)
        drawn = torch.Generator().manual_seed(1)
        found.append(importance(teacher, x.to(device), 2, drawn).cpu())
    assert torch.allclose(*found, rtol=0.05, atol=float(found[0].max()) / 100)
