"""Models of transformers as task models, beside the library's pipelines and plain arithmetic."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from vcm.errors import ModelError
from vcm.vision.base import unpacked
from vcm.vision.hf import HuggingFace, _kind
from vcm.vision.names import COCO

pytestmark = pytest.mark.slow  # networks of others

Picture = NDArray[np.uint8]
Slope = Callable[[Callable[[Any], list[Any]], Any], float]
UNIVERSAL = ("instances", "semantic")


def changed(folder: Path, target: Path, **config: Any) -> str:
    """A copy of a checkpoint with other entries in its config."""
    shutil.copytree(folder, target)
    path = target / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return str(target)


def inputs(model: HuggingFace, picture: Picture) -> Any:
    return model._processor(images=Image.fromarray(picture), return_tensors="pt")


@pytest.fixture(params=["detr", "rt_detr", "yolos"])
def detector(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_folder"))


def test_boxes_are_those_of_the_pipeline(
    detector: str, picture: Picture, transformers: Any
) -> None:
    model = HuggingFace(detector)
    pipe = transformers.pipeline("object-detection", model=detector)
    expected = sorted(
        pipe(Image.fromarray(picture), threshold=0.001), key=lambda found: -found["score"]
    )
    found = model.detect(picture)
    assert model.kind == "boxes" and found.masks is None
    assert found.scores.tolist() == pytest.approx([e["score"] for e in expected], abs=1e-5)
    own = [{"aeroplane": "airplane"}.get(e["label"], e["label"]) for e in expected]
    assert [model.names[label] for label in found.labels] == own
    corners = [[e["box"][k] for k in ("xmin", "ymin", "xmax", "ymax")] for e in expected]
    assert np.trunc(found.boxes) == pytest.approx(np.array(corners), abs=1)  # the pipeline's trunc


def test_detr_by_arithmetic(detr_folder: Path, picture: Picture) -> None:
    model = HuggingFace(str(detr_folder))
    with torch.no_grad():
        output = model._model(**inputs(model, picture))
    p = output.logits[0].softmax(-1)
    assert p.shape == (10, 6)  # the last one is "no object"
    scores, labels = p[:, :-1].max(1)
    order = scores.argsort(descending=True)
    x, y, w, h = output.pred_boxes[0].T
    corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    corners *= torch.tensor([100, 60, 100, 60])  # the picture's width and height, not the input's
    found = model.detect(picture)
    assert found.scores == pytest.approx(scores[order].numpy(), abs=1e-6)
    assert found.labels.tolist() == labels[order].tolist()
    assert found.boxes == pytest.approx(corners[order].numpy(), abs=1e-3)
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_colours_are_in_their_order(detector: str, picture: Picture) -> None:
    model = HuggingFace(detector)
    found = model.detect(picture)
    swapped = model.detect(np.ascontiguousarray(picture[..., ::-1]))
    assert np.abs(found.scores - swapped.scores).max() > 1e-5


def test_segformer_labels_make_room_for_the_background(
    segformer_folder: Path, tmp_path: Path, picture: Picture
) -> None:
    model = HuggingFace(str(segformer_folder))
    assert model.kind == "semantic"
    assert model.names == ("background", "wall", "building", "sky", "couch", "tree")
    with torch.no_grad():
        logits = model._model(**inputs(model, picture)).logits
    full = F.interpolate(logits, (60, 100), mode="bilinear", align_corners=False)
    labels = model.segment(picture)
    assert labels.dtype == np.uint8 and len(np.unique(labels)) > 1
    np.testing.assert_array_equal(labels, full[0].argmax(0).numpy() + 1)
    swapped = model.segment(np.ascontiguousarray(picture[..., ::-1]))
    assert (swapped != labels).any()
    id2label = dict(enumerate(["background", "sofa", "x", "y", "z"]))
    known = HuggingFace(changed(segformer_folder, tmp_path / "known", id2label=id2label))
    assert known.names == ("background", "couch", "x", "y", "z")
    np.testing.assert_array_equal(known.segment(picture), labels - 1)


def test_mask2former_masks_are_those_of_its_queries(
    mask2former_folder: Path, picture: Picture
) -> None:
    model = HuggingFace(str(mask2former_folder), kind="instances")
    assert model.kind == "instances" and model.names[0] == "wall"  # no background: none is found
    centred(model, picture)
    with torch.no_grad():
        output = model._model(**inputs(model, picture))
    queries = F.interpolate(output.masks_queries_logits, (60, 100), mode="bilinear")[0] > 0
    best = output.class_queries_logits[0].softmax(-1)[:, :-1].flatten().topk(10).indices
    expected = [(int(i % 5), queries[i // 5].numpy()) for i in best]
    found = model.detect(picture)
    assert found.masks is not None and 3 < len(found.boxes) <= 10
    assert (np.diff(found.scores) <= 0).all() and found.scores.max() < 1
    for box, label, coded in zip(found.boxes, found.labels, found.masks, strict=True):
        mask = unpacked(coded)
        rows, columns = np.nonzero(mask)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert mask.shape == (60, 100) and box.tolist() == edges
        # the library takes the sign at 384 x 384 and then the nearest pixel: contours differ
        assert max((mask == other).mean() for same, other in expected if same == label) > 0.9


def centred(model: HuggingFace, picture: Picture) -> None:
    """Random weights put all of the picture on one side of 0; this moves the maps' mean there."""
    net = model._model.model.pixel_level_module
    with torch.no_grad():
        maps = net(inputs(model, picture)["pixel_values"]).decoder_last_hidden_state
        net.decoder.mask_projection.bias -= maps.mean((0, 2, 3))


def test_mask2former_labels(mask2former_folder: Path, picture: Picture) -> None:
    model = HuggingFace(str(mask2former_folder))
    assert model.kind == "semantic"  # by its names
    assert model.names[:2] == ("background", "wall")
    with torch.no_grad():
        output = model._model(**inputs(model, picture))
    classes = output.class_queries_logits[0].softmax(-1)[:, :-1]
    masks = F.interpolate(output.masks_queries_logits, (60, 100), mode="bilinear")[0].sigmoid()
    expected = torch.einsum("qc,qhw->chw", classes, masks).argmax(0).numpy() + 1
    assert (model.segment(picture) == expected).mean() > 0.99  # it goes by way of 384 x 384


STREET = "road sidewalk building wall fence pole light sign vegetation terrain sky person rider car"


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (COCO, "instances"),
        ((*COCO, *(f"stuff {i}" for i in range(53))), "instances"),  # COCO's panoptic classes
        (("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"), "instances"),
        ((*STREET.split(), "truck", "bus", "train", "motorcycle", "bicycle"), "semantic"),
        (("background", *COCO), "semantic"),
    ],
    ids=["coco", "panoptic", "cityscapes instances", "cityscapes", "with background"],
)
def test_what_a_universal_model_does_is_told_by_its_names(
    names: tuple[str, ...], kind: str
) -> None:
    assert _kind("x", UNIVERSAL, names, None) == kind
    assert _kind("x", UNIVERSAL, names, "semantic") == "semantic"


@pytest.mark.parametrize("name", ["detr", "rt_detr", "yolos", "segformer", "mask2former"])
def test_features_have_gradients_down_to_the_pixels(
    name: str, request: pytest.FixtureRequest, slope_error: Slope
) -> None:
    model = HuggingFace(str(request.getfixturevalue(f"{name}_folder")))
    assert not any(p.requires_grad for p in model._model.parameters())
    x = torch.rand(2, 3, 64, 96)
    maps = model.features(x)
    assert all(f.dim() == 4 and len(f) == 2 for f in maps)
    places = [f.shape[-2] * f.shape[-1] for f in maps]
    assert len(maps) > 1 and places == sorted(places, reverse=True)
    model._model.double()
    assert slope_error(model.features, x.double()) < 1e-4


def test_features_see_the_input_that_the_processor_makes(detr_folder: Path) -> None:
    model = HuggingFace(str(detr_folder))
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    pixels = model._processor(images=Image.fromarray(image), return_tensors="pt", do_resize=False)[
        "pixel_values"
    ]
    x = torch.tensor(image).permute(2, 0, 1)[None] / 255
    expected = model._model.model.backbone.model(pixels).feature_maps
    for f, e in zip(model.features(x), expected, strict=True):
        torch.testing.assert_close(f, e)


def test_a_checkpoint_in_half_precision(segformer_folder: Path, tmp_path: Path) -> None:
    folder = changed(segformer_folder, tmp_path / "half", dtype="float16")
    weights = tmp_path / "half" / "model.safetensors"
    half = {k: v.half() for k, v in load_file(weights).items()}
    save_file(half, weights, {"format": "pt"})
    model = HuggingFace(folder)
    assert model.segment(np.zeros((40, 50, 3), np.uint8)).shape == (40, 50)


def test_what_cannot_be_used_is_said_in_one_line(
    detr_folder: Path, segformer_folder: Path, tmp_path: Path
) -> None:
    whole = load_file(segformer_folder / "model.safetensors")
    lost = "decode_head.classifier.weight"
    damaged = changed(segformer_folder, tmp_path / "damaged")
    part = {k: v for k, v in whole.items() if k != lost}
    save_file(part, Path(damaged) / "model.safetensors", {"format": "pt"})
    other = changed(detr_folder, tmp_path / "other", architectures=["DetrForSegmentation"])
    cases = [
        (str(tmp_path / "nothing"), "cannot be loaded.*give a folder that holds it"),
        (str(tmp_path), "cannot be loaded"),
        (damaged, f"1 weights of SegformerForSemanticSegmentation are missing: {lost}"),
        (other, "expected a model whose class ends in one of .* got DetrForSegmentation"),
    ]
    for folder, message in cases:
        with pytest.raises(ModelError, match=message) as caught:
            HuggingFace(folder)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="expected kind boxes, got semantic"):
        HuggingFace(str(detr_folder), kind="semantic")


def test_more_classes_than_a_byte_can_tell(segformer_folder: Path, tmp_path: Path) -> None:
    many = {i: f"thing {i}" for i in range(256)}
    folder = changed(segformer_folder, tmp_path / "many", id2label=many)
    with pytest.raises(ModelError, match="at most 255 classes, got 257"):
        HuggingFace(folder)


def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    """In a process of its own, because the hub's address is read when its package is imported."""
    command = "from vcm.models import load_model; load_model('hf:facebook/detr-resnet-50')"
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("vcm.errors.ModelError: model 'facebook/detr-resnet-50'")
    assert "give a folder that holds it" in last


def test_a_segmenters_own_loss_has_gradients(segformer_folder: Path, detr_folder: Path) -> None:
    model = HuggingFace(str(segformer_folder))
    model._model.double()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 64, 96, generator=generator).double()
    labels = model.labels(x)
    worse = (x + 0.3 * torch.rand_like(x)).requires_grad_()
    loss = model.loss(worse, labels)
    (gradient,) = torch.autograd.grad(loss, worse)
    step = 1e-5 * loss.item() / gradient.norm() ** 2 * gradient
    with torch.no_grad():
        change = model.loss(worse + step, labels) - model.loss(worse - step, labels)
    assert (2 * gradient * step).sum().item() == pytest.approx(change.item(), rel=0.01)
    with pytest.raises(ModelError, match="needs a semantic segmenter"):
        HuggingFace(str(detr_folder)).loss(x, labels)
