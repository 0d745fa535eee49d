"""Models of torchvision as task models, beside the same models called directly."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as pillow
from safetensors.torch import save_file
from torchvision import models
from torchvision.transforms.functional import pil_to_tensor

from vcm.dataset import VOC
from vcm.errors import ModelError
from vcm.roi.vocabulary import vocabulary
from vcm.train.task import Task, TaskLoss
from vcm.vision.base import unpacked
from vcm.vision.names import COCO, coco_name
from vcm.vision.torchvision import TorchVision, _is_original

pytestmark = pytest.mark.slow  # networks of others

Picture = NDArray[np.uint8]
SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"
# name -> how torchvision calls the least score and the most detections
RCNN = {"box_score_thresh": 0.001, "box_detections_per_img": 300}
DENSE = {"score_thresh": 0.001, "detections_per_img": 300}
DETECTORS = {SMALL: RCNN, "maskrcnn_resnet50_fpn": RCNN, "fcos_resnet50_fpn": DENSE}


def random_net(name: str, **options: Any) -> Any:
    """A model whose random weights pass signals on: its batch norms have seen noise."""
    torch.manual_seed(4)
    net = models.get_model(name, weights=None, weights_backbone=None, **options)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        net.backbone(torch.randn(2, 3, 64, 64))
        for name, parameter in net.named_parameters():
            if "bbox_pred" in name:  # random offsets throw the boxes out of the picture
                parameter *= 0.01
    return net.eval().requires_grad_(False)


def quick(net: Any) -> Any:
    """The same detector on smaller inputs, and with fewer proposals."""
    net.transform.min_size, net.transform.max_size = (64,), 128
    if hasattr(net, "rpn"):
        net.rpn._post_nms_top_n["testing"] = 40
    return net


def saved(net: Any, path: Path) -> str:
    torch.save(net.state_dict(), path)
    return str(path)


def tensor(picture: Picture) -> torch.Tensor:
    return torch.tensor(picture).permute(2, 0, 1) / 255


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_detector_finds_what_torchvision_finds(
    name: str, tmp_path: Path, picture: Picture, seed: int
) -> None:
    net = quick(random_net(name, num_classes=6, **DETECTORS[name]))
    model = TorchVision(f"{name}={saved(net, tmp_path / 'x.pth')}")
    assert model.names == ("background", *(f"class {i}" for i in range(1, 6)))
    quick(model._net)
    with torch.no_grad():
        (expected,) = net([tensor(picture)])
    found = model.detect(picture)
    order = expected["scores"].argsort(descending=True, stable=True)
    assert len(found.boxes) == len(order) > 10
    assert found.scores == pytest.approx(expected["scores"][order].numpy(), abs=1e-6)
    assert found.labels.tolist() == expected["labels"][order].tolist()
    assert found.boxes == pytest.approx(expected["boxes"][order].numpy(), abs=1e-3)
    assert found.boxes[:, 2].max() > 80 and found.boxes[:, 3].max() <= 60  # 100 x 60 pixels
    swapped = model.detect(np.ascontiguousarray(picture[..., ::-1]))
    assert len(swapped.scores) != len(order) or np.abs(swapped.scores - found.scores).max() > 1e-4
    assert model.kind == ("instances" if name.startswith("mask") else "boxes")
    if model.kind == "instances":
        assert found.masks is not None
        masks = expected["masks"][order, 0].numpy() > 0.5
        assert masks.any()
        np.testing.assert_array_equal([unpacked(m) for m in found.masks], masks)


def test_a_segmenter_sees_what_torchvision_sees(
    tmp_path: Path, picture: Picture, seed: int
) -> None:
    net = random_net("deeplabv3_mobilenet_v3_large", aux_loss=True)
    save_file(net.state_dict(), tmp_path / "x.safetensors")
    model = TorchVision(f"deeplabv3_mobilenet_v3_large={tmp_path / 'x.safetensors'}")
    assert model.kind == "semantic"
    assert model.names == VOC  # in COCO's spelling
    x = pil_to_tensor(pillow.fromarray(picture).resize((866, 520), pillow.Resampling.BILINEAR))
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    with torch.no_grad():
        logits = net(((x / 255 - mean) / std)[None])["out"]
    full = F.interpolate(logits, (60, 100), mode="bilinear", align_corners=False)
    labels = model.segment(picture)
    assert labels.shape == (60, 100) and labels.dtype == np.uint8 and len(np.unique(labels)) > 1
    assert (labels == full[0].argmax(0).numpy()).mean() > 0.99
    swapped = model.segment(np.ascontiguousarray(picture[..., ::-1]))
    assert (labels != swapped).mean() > 0.01


def test_names_are_cocos(tmp_path: Path, seed: int) -> None:
    state = random_net(SMALL).state_dict()
    frozen = {k: v for k, v in state.items() if "num_batches_tracked" not in k}
    torch.save(frozen, tmp_path / "x.pth")  # as in torchvision's own files
    model = TorchVision(f"{SMALL}={tmp_path / 'x.pth'}")
    assert len(model.names) == 91 and model.names[0] == "background"
    assert tuple(name for name in model.names[1:] if name != "N/A") == COCO
    assert vocabulary().coco == COCO
    assert coco_name("aeroplane") == "airplane" and coco_name("tree") == "tree"


@pytest.mark.parametrize("name", [SMALL, "deeplabv3_mobilenet_v3_large"])
def test_features_have_gradients_down_to_the_pixels(
    name: str, tmp_path: Path, slope_error: Callable[..., float]
) -> None:
    net = random_net(name)
    model = TorchVision(f"{name}={saved(net, tmp_path / 'x.pth')}")
    assert not any(p.requires_grad for p in model._net.parameters())
    x = torch.rand(2, 3, 65, 96)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    maps = model.features(x)
    for f, e in zip(maps, net.backbone((x - mean) / std).values(), strict=True):
        torch.testing.assert_close(f, e)
    model._net.double()
    assert slope_error(model.features, x.double()) < 1e-4


def test_torchvisions_own_file_is_known_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "renamed.pth"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()[:8]
    url = f"https://download.pytorch.org/models/some_coco-{digest}.pth"
    assert _is_original(str(path), SimpleNamespace(url=url))
    path.write_bytes(b"other weights")
    assert not _is_original(str(path), SimpleNamespace(url=url))


def test_its_own_weights_have_no_epsilon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    name = "fasterrcnn_resnet50_fpn"
    weights = f"{name}={saved(random_net(name), tmp_path / 'x.pth')}"
    usual = TorchVision(weights)
    monkeypatch.setattr("vcm.vision.torchvision._is_original", lambda path, default: True)
    own = TorchVision(weights)
    for model, epsilon in ((usual, 1e-5), (own, 0.0)):
        norms = [m for m in model._net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert norms and {m.eps for m in norms} == {epsilon}


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, seed: int) -> None:
    state = random_net(SMALL).state_dict()
    torch.save({k: v for k, v in state.items() if "rpn.head.conv" not in k}, tmp_path / "part.pth")
    torch.save({"model": state}, tmp_path / "nested.pth")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    saved(random_net("lraspp_mobilenet_v3_large"), tmp_path / "other.pth")
    cases = [
        ("resnet50", "torchvision model 'resnet50': expected one of fasterrcnn"),
        ("part.pth", "not the weights of .* Missing key.*rpn.head.conv"),
        ("nested.pth", "expected a state dict"),
        ("junk.pth", "not a file of weights that loads"),
        ("junk.safetensors", "not a file of weights that loads"),
        ("other.pth", "not the weights of"),
    ]
    for file, message in cases:
        weights = f"{SMALL}={tmp_path / file}" if "." in file else file
        with pytest.raises(ModelError, match=message) as caught:
            TorchVision(weights)
        assert "\n" not in str(caught.value)


def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    """In a process of its own, because proxies are read when the first page is opened."""
    command = f"from vcm.models import load_model; load_model('torchvision:{SMALL}')"
    environment = {"https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"vcm.errors.ModelError: torchvision's {SMALL} cannot be downloaded")
    assert str(tmp_path / "hub" / "checkpoints") in last and f"torchvision:{SMALL}=" in last


def test_weights_of_the_enum_are_taken_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    for name in ("COCO_V1", "COCO_V9"):
        with pytest.raises(ModelError) as error:
            TorchVision(f"{SMALL}={name}")
        assert ("fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth" in str(error.value)) == (
            name == "COCO_V1"  # the other one is no file
        )


def test_a_segmenters_own_loss_has_gradients(tmp_path: Path) -> None:
    name = "deeplabv3_mobilenet_v3_large"
    path = saved(random_net(name), tmp_path / "x.pth")
    model = TorchVision(f"{name}={path}")
    model._net.double()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 64, 96, generator=generator).double()
    labels = model.labels(x)
    assert len(labels.unique()) > 1
    worse = (x + 0.3 * torch.rand(x.shape, generator=generator)).requires_grad_()
    loss = model.loss(worse, labels)
    assert loss > model.loss(x, labels)
    (gradient,) = torch.autograd.grad(loss, worse)
    step = 1e-5 * loss.item() / gradient.norm() ** 2 * gradient
    with torch.no_grad():
        change = model.loss(worse + step, labels) - model.loss(worse - step, labels)
    assert (2 * gradient * step).sum().item() == pytest.approx(change.item(), rel=0.01)
    task = TaskLoss(Task(f"torchvision:{name}={path}", "labels"))
    single, m = x.float(), torch.ones(2, 1, 64, 96)
    both = task(worse.detach().float(), single, m)
    alone = [task(worse[i : i + 1].detach().float(), single[i : i + 1], m[:1]) for i in range(2)]
    assert both.shape == (2,) and torch.allclose(both, torch.cat(alone), rtol=1e-4)
