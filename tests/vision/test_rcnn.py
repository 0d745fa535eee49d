"""The detectron2 adapter against the real library: small networks of its own configs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vcm.errors import ModelError
from vcm.vision import rcnn
from vcm.vision.base import unpacked
from vcm.vision.rcnn import Rcnn

detectron2 = pytest.importorskip("detectron2", reason=rcnn.INSTALL)
pytestmark = pytest.mark.filterwarnings("ignore")  # detectron2's own
ZOO = Path(detectron2.__file__).parent / "model_zoo" / "configs"
CONFIGS = {
    "boxes": ZOO / "COCO-Detection" / "faster_rcnn_R_50_FPN_3x.yaml",
    "instances": ZOO / "COCO-InstanceSegmentation" / "mask_rcnn_R_50_FPN_3x.yaml",
}


def checkpoint(kind, folder):
    """A config in a folder and random weights beside it, small enough for a test."""
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS[kind]))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.RESNETS.DEPTH = 18
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 64
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.ROI_BOX_HEAD.FC_DIM = 32
    cfg.MODEL.ROI_MASK_HEAD.CONV_DIM = 16
    cfg.MODEL.RPN.POST_NMS_TOPK_TEST = 40
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 160, 260
    cfg.MODEL.WEIGHTS = "model.pth"
    torch.manual_seed(3)
    net = build_model(cfg)
    torch.nn.init.normal_(net.roi_heads.box_predictor.cls_score.weight, std=1.0)
    torch.save({"model": net.state_dict()}, folder / "model.pth")
    (folder / "config.yaml").write_text(cfg.dump())
    return folder / "config.yaml"


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def model(request, tmp_path_factory):
    path = checkpoint(request.param, tmp_path_factory.mktemp(request.param))
    return request.param, path, Rcnn(str(path))


def predictor(path):
    """detectron2's own way, with the thresholds of the protocol."""
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor

    cfg = get_cfg()
    cfg.merge_from_file(str(path))
    cfg.MODEL.WEIGHTS = str(path.parent / "model.pth")
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.001
    cfg.TEST.DETECTIONS_PER_IMAGE = 300
    return DefaultPredictor(cfg)


def test_it_sees_what_the_default_predictor_sees(model, cat):
    kind, path, adapter = model
    expected = predictor(path)(cat[..., ::-1])["instances"]
    found = adapter.detect(cat)
    assert adapter.kind == kind and len(found.boxes) == len(expected) > 0
    order = torch.argsort(-expected.scores, stable=True)
    assert np.allclose(found.boxes, expected.pred_boxes.tensor[order], atol=1e-3)
    assert np.allclose(found.scores, expected.scores[order], atol=1e-6)
    assert found.labels.tolist() == expected.pred_classes[order].tolist()
    assert found.boxes.max(0)[2] <= cat.shape[1] and found.boxes.max(0)[3] <= cat.shape[0]
    if kind == "instances":
        masks = np.stack([unpacked(coded) for coded in found.masks])
        assert np.array_equal(masks, expected.pred_masks[order].numpy())
    else:
        assert found.masks is None


def test_names_are_those_of_coco_and_channels_matter(model, cat):
    _, _, adapter = model
    assert len(adapter.names) == 80 and adapter.names[0] == "person"
    assert "dining table" in adapter.names and "tv" in adapter.names
    swapped = adapter.detect(np.ascontiguousarray(cat[..., ::-1]))
    found = adapter.detect(cat)
    assert len(swapped.scores) != len(found.scores) or not np.allclose(
        swapped.scores, found.scores, atol=1e-4
    )


def test_gradients_reach_the_pixels(model, cat):
    _, _, adapter = model
    x = torch.from_numpy(cat[:96, :128].copy()).permute(2, 0, 1)[None].float() / 255
    maps = adapter.features(x)
    assert [tuple(m.shape[-2:]) for m in maps] == [(24, 32), (12, 16), (6, 8), (3, 4), (2, 2)]
    x.requires_grad_()

    def value(t):
        return sum((m - n).square().mean() for m, n in zip(adapter.features(t), maps, strict=True))

    shifted = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).detach()
    shifted.requires_grad_()
    (gradient,) = torch.autograd.grad(value(shifted), shifted)
    slope = gradient.norm().item()
    step = 0.02 * value(shifted).item() / slope * gradient / slope
    with torch.no_grad():
        change = value(shifted + step) - value(shifted - step)
    assert (2 * gradient * step).sum().item() == pytest.approx(change.item(), rel=0.03)


def test_its_own_losses_have_gradients(model, cat, monkeypatch):
    _, _, adapter = model
    monkeypatch.setattr(rcnn, "SURE", 0.02)  # random weights are sure of little
    x = torch.from_numpy(cat[:128, :160].copy()).permute(2, 0, 1)[None].float() / 255
    labels = adapter.labels(x)
    assert len(labels[0]) > 0
    x.requires_grad_()

    def loss(t):
        torch.manual_seed(0)  # of the proposals that are sampled
        return adapter.loss(t, labels)

    (gradient,) = torch.autograd.grad(loss(x), x)
    assert gradient.abs().max() > 0 and torch.isfinite(gradient).all()
    assert adapter.detect(cat[:128, :160]).boxes.shape[1] == 4  # back in evaluation


def test_what_cannot_be_loaded_is_said(tmp_path):
    with pytest.raises(ModelError, match=r"no config of detectron2|setuptools"):
        Rcnn("COCO-Detection/no_such.yaml")
    path = checkpoint("boxes", tmp_path)
    text = path.read_text()
    path.write_text(text.replace("WEIGHTS: model.pth", "WEIGHTS: ''"))
    with pytest.raises(ModelError, match="names no checkpoint"):
        Rcnn(str(path))
    path.write_text(text.replace("WEIGHTS: model.pth", "WEIGHTS: other.pth"))
    with pytest.raises(ModelError, match="weights cannot be loaded"):
        Rcnn(str(path))
    state = torch.load(tmp_path / "model.pth", weights_only=True)["model"]
    state.pop("roi_heads.box_predictor.cls_score.weight")
    torch.save({"model": state}, tmp_path / "model.pth")
    path.write_text(text)
    with pytest.raises(ModelError, match=r"1 parameters of .*cls_score.weight first"):
        Rcnn(str(path))
    path.write_text(text.replace("coco_2017_val", "nobody_knows"))
    with pytest.raises(ModelError, match="no class names|parameters"):
        Rcnn(str(path))
