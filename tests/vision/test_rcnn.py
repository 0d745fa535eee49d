"""The detectron2 adapter against the real library: small networks of its own configs."""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vcm.errors import ModelError
from vcm.train.task import Task, TaskLoss
from vcm.vision import rcnn
from vcm.vision.base import MASKED, MOST, Objects, unpacked
from vcm.vision.names import COCO
from vcm.vision.rcnn import Rcnn

detectron2 = pytest.importorskip("detectron2", reason=rcnn.INSTALL)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
]  # in its anchors

ZOO = Path(detectron2.__file__).parent / "model_zoo" / "configs"
FASTER = "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
CONFIGS = {"boxes": FASTER, "instances": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"}
SHORTEST, LONGEST = 160, 224  # 300 x 451 becomes 149 x 224, and 288 x 288 160 x 160
SMALL = (
    "MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64,
    "MODEL.FPN.OUT_CHANNELS", 32, "MODEL.ROI_BOX_HEAD.FC_DIM", 32,
    "MODEL.ROI_MASK_HEAD.CONV_DIM", 16, "MODEL.RPN.POST_NMS_TOPK_TEST", 40,
    "INPUT.MIN_SIZE_TEST", SHORTEST, "INPUT.MAX_SIZE_TEST", LONGEST, "MODEL.WEIGHTS", "model.pth",
    "MODEL.PIXEL_MEAN", [100.0, 110.0, 120.0], "MODEL.PIXEL_STD", [50.0, 55.0, 60.0],
)  # fmt: skip


def checkpoint(kind: str, folder: Path, *options: Any) -> Path:
    """A config in a folder and random weights beside it, small enough for a test."""
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(str(ZOO / CONFIGS[kind]))
    cfg.merge_from_list([*SMALL, *options])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = build_model(cfg)
        # As built, all scores are alike and all masks nearly a tie.
        torch.nn.init.normal_(net.roi_heads.box_predictor.cls_score.weight, std=1.0)
        if kind == "instances":
            torch.nn.init.normal_(net.roi_heads.mask_head.predictor.weight, std=1.0)
    torch.save({"model": net.state_dict()}, folder / "model.pth")
    (folder / "config.yaml").write_text(cfg.dump())
    return folder / "config.yaml"


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def model(path: Path) -> Rcnn:
    return Rcnn(str(path))


def expected(path: Path, image: NDArray[np.uint8]) -> Any:
    """What detectron2's own predictor finds, with the thresholds of the protocol."""
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor

    cfg = get_cfg()
    cfg.merge_from_file(str(path))
    cfg.MODEL.WEIGHTS = str(path.parent / "model.pth")
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.001
    cfg.TEST.DETECTIONS_PER_IMAGE = MASKED if cfg.MODEL.MASK_ON else MOST
    return DefaultPredictor(cfg)(image[..., ::-1])["instances"]


def same(found: Objects, expected: Any) -> bool:
    """Whether they are the same objects, to the last digits of float32."""
    order = torch.argsort(-expected.scores, stable=True)
    return (
        len(found.boxes) == len(order)
        and np.allclose(found.boxes, expected.pred_boxes.tensor[order], atol=1e-3)
        and np.allclose(found.scores, expected.scores[order], atol=1e-6)
        and found.labels.tolist() == expected.pred_classes[order].tolist()
    )


def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.tensor(image).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("name", ["cat", "person"])
def test_it_sees_what_the_default_predictor_sees(
    path: Path, model: Rcnn, photos: dict[str, NDArray[np.uint8]], name: str
) -> None:
    photo = photos[name]
    objects = expected(path, photo)
    found = model.detect(photo)
    most = MOST if model.kind == "boxes" else MASKED
    assert 100 <= len(found.boxes) <= most and len(np.unique(found.labels)) > 10
    assert found.scores.min() < 0.1 and found.scores.max() > 0.9
    assert same(found, objects)
    assert not same(model.detect(np.ascontiguousarray(photo[..., ::-1])), objects)
    if model.kind == "boxes":
        assert found.masks is None
    else:
        assert found.masks is not None
        masks = np.stack([unpacked(mask) for mask in found.masks])
        assert masks.shape[1:] == photo.shape[:2] and masks.any((1, 2)).mean() > 0.9
        order = torch.argsort(-objects.scores, stable=True)
        np.testing.assert_array_equal(masks, objects.pred_masks[order].numpy())


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_r50_fpn_as_its_config_has_it(
    kind: str, tmp_path: Path, photos: dict[str, NDArray[np.uint8]]
) -> None:
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    whole = (
        "MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.RES2_OUT_CHANNELS", 256,
        "MODEL.FPN.OUT_CHANNELS", 256, "MODEL.ROI_BOX_HEAD.FC_DIM", 1024,
        "MODEL.ROI_MASK_HEAD.CONV_DIM", 256,
    )  # fmt: skip
    path = checkpoint(kind, tmp_path, *whole)
    model = Rcnn(str(path))
    cfg = get_cfg()
    cfg.merge_from_file(str(ZOO / CONFIGS[kind]))
    cfg.MODEL.DEVICE = "cpu"
    shapes = {k: v.shape for k, v in build_model(cfg).state_dict().items()}
    assert {k: v.shape for k, v in model._net.state_dict().items()} == shapes
    assert same(model.detect(photos["cat"]), expected(path, photos["cat"]))


@pytest.mark.parametrize("turn", [False, True])
def test_boxes_are_in_pixels_of_the_picture(
    model: Rcnn, cat: NDArray[np.uint8], turn: bool
) -> None:
    image = np.ascontiguousarray(cat.swapaxes(0, 1)) if turn else cat
    height, width = image.shape[:2]
    x1, y1, x2, y2 = model.detect(image).boxes.T
    assert min(x1.min(), y1.min()) >= 0 and (x1 <= x2).all() and (y1 <= y2).all()
    assert x2.max() <= width and y2.max() <= height
    assert max(x2.max(), y2.max()) > 1.5 * LONGEST  # and not of the network's input


def test_a_network_of_rgb_pictures_gets_them(tmp_path: Path, cat: NDArray[np.uint8]) -> None:
    path = checkpoint("boxes", tmp_path, "INPUT.FORMAT", "RGB")
    model, swapped = Rcnn(str(path)), np.ascontiguousarray(cat[..., ::-1])
    assert same(model.detect(cat), expected(path, cat))
    assert not same(model.detect(swapped), expected(path, cat))
    torch.testing.assert_close(model._inputs(tensor(cat))[0]["image"], 255 * tensor(cat)[0])


def test_names_are_cocos_and_a_folder_does(path: Path, model: Rcnn) -> None:
    assert model.names == COCO
    assert Rcnn(str(path.parent)).kind == model.kind == path.parent.name.rstrip("0123456789")


def test_weights_may_be_in_the_format_of_the_zoo(tmp_path: Path, cat: NDArray[np.uint8]) -> None:
    path = checkpoint("boxes", tmp_path)
    state = torch.load(tmp_path / "model.pth", weights_only=True)["model"]
    arrays = {key: value.numpy() for key, value in state.items()}
    with (tmp_path / "model.pkl").open("wb") as file:
        pickle.dump({"model": arrays, "__author__": "Detectron2 Model Zoo"}, file)
    objects = expected(path, cat)
    path.write_text(path.read_text().replace("model.pth", "model.pkl"))
    assert same(Rcnn(str(path)).detect(cat), objects)


def test_names_of_voc_are_in_cocos_spelling(tmp_path: Path) -> None:
    data = ("DATASETS.TEST", ("voc_2007_test",), "MODEL.ROI_HEADS.NUM_CLASSES", 20)
    names = Rcnn(str(checkpoint("boxes", tmp_path, *data))).names
    assert names[0] == "airplane" and len(names) == 20 and set(names) <= set(COCO)


def test_features_have_gradients_down_to_the_pixels(
    model: Rcnn, cat: NDArray[np.uint8], slope_error: Callable[..., float]
) -> None:
    x = torch.cat([tensor(cat[:90, :100]), tensor(cat[100:190, 200:300])])  # padded to 96 x 128
    maps = model.features(x)
    sides = [(24, 32), (12, 16), (6, 8), (3, 4), (2, 2)]
    assert [tuple(f.shape) for f in maps] == [(2, 32, *side) for side in sides]
    mean, std = torch.tensor([[100.0, 110, 120], [50, 55, 60]]).view(2, 3, 1, 1)  # of BGR
    framed = torch.nn.functional.pad((255 * x.flip(1) - mean) / std, (0, 28, 0, 6))
    for f, e in zip(maps, model._net.backbone(framed).values(), strict=True):
        torch.testing.assert_close(f, e)
    assert not model._net.training
    assert not any(p.requires_grad for p in model._net.parameters())
    exact = copy.deepcopy(model)
    exact._net.double()
    for batch in (x.double(), x[:1].double()):  # of two and of one it pads differently
        # A hundredth of the usual step: pixels up to 255 meet that many more kinks.
        assert slope_error(lambda t: exact.features(t / 100), 100 * batch) < 1e-4


def test_its_own_losses_have_gradients(
    model: Rcnn, cat: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rcnn, "SURE", 0.02)  # random weights are sure of little
    x = tensor(cat[:128, :160])
    labels = model.labels(x)
    assert len(labels[0]) > 0

    def loss(t: torch.Tensor) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of the proposals that are sampled
            return model.loss(t, labels)

    x.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x), x)
    assert gradient.abs().max() > 0 and torch.isfinite(gradient).all()
    assert not model._net.training
    # Behind the proposals, which move without gradients, there are no finite differences to meet.
    heads = model._net.roi_heads
    nothing = dict.fromkeys(("loss_cls", "loss_box_reg"), 0.0)
    monkeypatch.setattr(heads.box_predictor, "loss_weight", nothing)
    if hasattr(heads, "mask_head"):
        monkeypatch.setattr(heads.mask_head, "loss_weight", 0.0)
    (gradient,) = torch.autograd.grad(loss(x), x)
    step = 1e-4 * loss(x).item() / gradient.norm() ** 2 * gradient
    with torch.no_grad():
        change = loss(x + step) - loss(x - step)
    assert (2 * gradient * step).sum().item() == pytest.approx(change.item(), rel=0.05)


def test_a_task_loss_samples_by_the_seed_that_it_is_given(
    path: Path, cat: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rcnn, "SURE", 0.02)
    loss = TaskLoss(Task(f"rcnn:{path}", "labels"))
    x, m = tensor(cat[:128, :160]).repeat(2, 1, 1, 1), torch.ones(2, 1, 128, 160)
    both = loss(x * 0.9, x, m, 5)
    torch.manual_seed(99)  # whatever was drawn elsewhere
    assert torch.equal(both, loss(x * 0.9, x, m, 5))
    assert torch.allclose(both[1:], loss(x[1:] * 0.9, x[1:], m[1:], 6))


def test_losses_leave_the_model_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("MODEL.RESNETS.NORM", "BN", "MODEL.FPN.NORM", "BN")
    model = Rcnn(str(checkpoint("boxes", tmp_path, *options)))
    monkeypatch.setattr(rcnn, "SURE", 0.0)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = copy.deepcopy(model._net.state_dict())
    assert any("running_mean" in key for key in before)
    model.loss(x, model.labels(x))
    for key, value in model._net.state_dict().items():
        assert torch.equal(value, before[key]), key


def refused(weights: Path | str, message: str) -> None:
    """It is a ModelError of one line."""
    with pytest.raises(ModelError, match=message) as caught:
        Rcnn(str(weights))
    assert "\n" not in str(caught.value)


def test_a_config_that_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pkg_resources", raising=False)
    path = checkpoint("boxes", tmp_path)
    text = path.read_text()
    ran = tmp_path / "ran"
    for old, new, message in [
        ("WEIGHTS: model.pth", "WEIGHTS: ''", "names no checkpoint"),
        ("WEIGHTS: model.pth", "WEIGHTS: other.pth", r"other.pth: .* cannot be loaded \(Check"),
        ("FORMAT: BGR", "FORMAT: L", "expected BGR or RGB, got L"),
        ("GeneralizedRCNN", "RetinaNet", "expected a Faster or Mask R-CNN, got RetinaNet"),
        ("NAME: RPN", "NAME: PrecomputedProposals", "R-CNN, got .* with PrecomputedProposals"),
        ("NAME: StandardROIHeads", "NAME: NoHeads", "cannot be loaded .*NoHeads"),
        ("coco_2017_", "nobody_knows_", "has no class names; name a data set"),
        ("coco_2017_", "voc_2007_", "80 classes, voc_2007_val of DATASETS has 20"),
        ("DEVICE:", "NO_SUCH_KEY:", "a config .*NO_SUCH_KEY"),
        (text, "MODEL: [", "a config .*parsing"),
        (text, f"!!python/object/apply:os.mkdir ['{ran}']", "a config .*constructor"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new))
        refused(path, message)
    assert not ran.exists()
    path.unlink()
    refused(tmp_path, r"config.yaml' does not exist")
    refused(path, "not available in Model Zoo")
    refused("COCO-Detection/no_such.yaml", "not available in Model Zoo")
    refused("COCO-Detection/retinanet_R_50_FPN_3x.yaml", "got RetinaNet")
    assert "pkg_resources" not in sys.modules


def test_weights_are_never_random(tmp_path: Path) -> None:
    path, weights = checkpoint("boxes", tmp_path), tmp_path / "model.pth"
    whole = torch.load(weights, weights_only=True)["model"]
    key = "roi_heads.box_predictor.cls_score.weight"
    torch.save({"model": {k: v for k, v in whole.items() if k != key}}, weights)
    refused(path, f"1 parameters of .*, {key} first")
    torch.save({"model": whole | {key: whole[key][:, :4]}}, weights)
    refused(path, f"1 parameters of .*, {key} first")
    torch.save({"model": {}}, weights)
    refused(path, "parameters of .* are missing")
    weights.write_bytes(b"junk")
    refused(path, "cannot be loaded")


def test_without_detectron2_it_says_how_to_get_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "detectron2.config", None)
    refused(path, "pip install --no-build-isolation git.https://github.com/facebookresearch")


def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    """In a process of its own, because proxies are read when the first page is opened."""
    command = f"from vcm.models import load_model; load_model('rcnn:{FASTER}')"
    nowhere = {"https_proxy": "http://127.0.0.1:9", "no_proxy": "", "FVCORE_CACHE": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", command], env=os.environ | nowhere, capture_output=True, text=True
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("vcm.errors.ModelError: https://") and "_280758.pkl: weights" in last
    assert "without a network give a folder that holds them: rcnn:FOLDER" in last
    assert not [file for file in tmp_path.rglob("*.pkl") if file.is_file()]
