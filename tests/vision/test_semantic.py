"""Models that name each pixel: DeepLab in TensorFlow Lite and our own network."""

import numpy as np
import pytest

from vcm import image
from vcm.dataset import VOC, load, thinned
from vcm.errors import ModelError, SpecError
from vcm.metrics.segmentation import confusion, mean_iou, relabelled
from vcm.models import load_model, parsed


def miou(model, data, change=lambda picture: picture):
    counts = []
    for photo in data.photos:
        seen = model.segment(change(image.read(photo.path)))
        true = data.labels(photo)
        counts.append(confusion(true, relabelled(seen, model.names, VOC), len(VOC)))
    return float(mean_iou(np.stack(counts), np.ones((1, len(counts))))[0])


@pytest.fixture(scope="module")
def voc(shared):
    return thinned(load(shared / "data" / "voc100"), 12)


def test_deeplab_and_subtle_faults(shared, voc):
    pytest.importorskip("ai_edge_litert", reason="needs: pip install 'vcm[tflite]'")
    model = load_model(str(shared / "weights" / "deeplabv3_mnv2_pascal_quant.tflite"))
    good = miou(model, voc)
    assert good > 55
    assert miou(model, voc, lambda p: np.ascontiguousarray(p[..., ::-1])) < good - 2
    assert miou(model, voc, lambda p: np.roll(p, 6, axis=1)) < good - 2


def test_our_own_network_names_pixels(voc):
    model = load_model("embedded")
    assert model.kind == "semantic" and model.names[:2] == ("background", "person")
    assert miou(model, voc) > 40
    tall = np.full((700, 90, 3), 128, np.uint8)
    labels = model.segment(tall)
    assert labels.shape == (700, 90) and labels.dtype == np.uint8


def test_models_by_name(tmp_path):
    assert parsed("yolo11n.pt") == ("yolo", "yolo11n.pt")
    assert parsed("hf:facebook/detr-resnet-50") == ("hf", "facebook/detr-resnet-50")
    assert parsed("embedded") == ("embedded", "")
    for name in ("model.bin", "hf:", "detr:x", ""):
        with pytest.raises(SpecError, match="ADAPTER|expected a .pt"):
            parsed(name)
    (tmp_path / "x.tflite").write_bytes(b"junk")
    with pytest.raises(ModelError, match="not a TensorFlow Lite file"):
        load_model(str(tmp_path / "x.tflite"))
