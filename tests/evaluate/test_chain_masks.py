"""The whole of `vcm eval` with models that draw masks: mask AP and labelled mIoU by hand."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated import ran
from PIL import Image
from pycocotools import mask as coder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vcm import image
from vcm.commands import eval as command
from vcm.errors import MetricError, SpecError
from vcm.models import load_model
from vcm.plugin import load as plugin

pytestmark = pytest.mark.slow  # whole evaluations

LEVELS = Path(__file__).with_name("levels.py")
PARTS = (
    LEVELS.read_text()
    + """
from vcm.vision.base import rle, sorted_objects

def coloured(image):
    "Where it is red and where it is blue, (2, H, W)."
    bright, dark = image > 150, image < 70
    return np.stack([bright[..., c] & dark[..., 1] & dark[..., 2 - c] for c in (0, 2)])

class Blobs:
    "The red blob is a cat, the blue one a dog; each with its box and its own shape."
    kind, names = "instances", ("cat", "dog")

    def detect(self, image):
        found = [(i, m) for i, m in enumerate(coloured(image)) if m.any()]
        boxes = [(*np.argwhere(m).min(0)[::-1], *(np.argwhere(m).max(0)[::-1] + 1))
                 for _, m in found]
        scores = np.array([image[m].max() / 255 for _, m in found])
        labels = np.array([i for i, _ in found], int)
        return sorted_objects(np.array(boxes), scores, labels, [rle(m) for _, m in found])

class Pixels:
    "Red pixels are a cat, blue ones a dog; the names in an order of their own."
    kind, names = "semantic", ("background", "dog", "cat")

    def segment(self, image):
        red, blue = coloured(image)
        return np.where(red, 2, np.where(blue, 1, 0)).astype(np.uint8)
"""
)
TASK = """
name = "blobs"
version = 1
description = "find blobs"
phrases = ["cat"]
classes = ["cat", "dog"]
metric = "mask_AP"
"""
VOC = {"cat": 8, "dog": 12}


@pytest.fixture(scope="module")
def place(tmp_path_factory, photos):
    """Three grey photos with a red triangle and a blue ellipse, labelled in both ways."""
    place = tmp_path_factory.mktemp("masks")
    for folder in ("images", "voc_class_masks"):
        (place / "set" / folder).mkdir(parents=True)
    for name, text in (("parts.py", PARTS), ("blobs.toml", TASK)):
        (place / name).write_text(text)
    entries, annotations = [], []
    for number, (name, photo) in enumerate(photos.items(), 1):
        picture = np.repeat(photo[:180, : 230 + 20 * number].mean(2, keepdims=True), 3, 2)
        picture = picture.astype(np.uint8)
        ys, xs = np.mgrid[: picture.shape[0], : picture.shape[1]]
        shapes = {
            "cat": (ys < 90 + 5 * number) & (xs > 20) & (ys - 20 > xs - 20),
            "dog": ((ys - 110) / 40) ** 2 + ((xs - 150) / (30 + number)) ** 2 < 1,
        }
        labels = np.zeros(picture.shape[:2], np.uint8)
        for category, (kind, where) in enumerate(shapes.items(), 1):
            picture[where] = (225, 20, 30) if kind == "cat" else (25, 15, 203)
            labels[where] = VOC[kind]
            coded = coder.encode(np.asfortranarray(where, np.uint8))
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": category,
                "bbox": coder.toBbox(coded).tolist(), "area": int(where.sum()), "iscrowd": 0,
                "segmentation": {**coded, "counts": coded["counts"].decode()},
            })  # fmt: skip
        labels[:, 200:] = 255  # nobody looked there
        image.write(place / "set" / "images" / f"{name}.png", picture)
        Image.fromarray(labels).save(place / "set" / "voc_class_masks" / f"{name}.png")
        height, width = labels.shape
        entries.append({"id": number, "file_name": f"{name}.png", "height": height, "width": width})
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    truth = {"images": entries, "annotations": annotations, "categories": names}
    (place / "set" / "instances.json").write_text(json.dumps(truth))
    return place


@pytest.fixture(scope="module")
def options(place):
    return command.EvalOptions(
        task=str(place / "blobs.toml"), text=None, model=f"{place / 'parts.py'}:Blobs",
        data=place / "set", only=None, photos=None, codecs=f"{place / 'parts.py'}:Levels",
        roi="truth", roi_weights=None, on_empty="whole", weights="base", reference=None,
        workers=1, cache=None, no_cache=True, unchecked=False, wandb=None, perceptual=False,
    )  # fmt: skip


def decoded(place, setting):
    """(name, original, decoded) of every picture."""
    codec = plugin(f"{place / 'parts.py'}:Levels", ("encode",))
    for path in sorted((place / "set" / "images").iterdir()):
        picture = image.read(path)
        yield path.stem, picture, codec.decode(codec.encode(picture, setting), *picture.shape[:2])


def test_mask_ap_is_that_of_the_shapes_and_not_of_their_boxes(place, options):
    report = ran(place / "instances", options, lambda line: None)
    model = load_model(options.model)
    truth = COCO(place / "set" / "instances.json")
    ids = {entry["file_name"]: entry["id"] for entry in truth.imgs.values()}
    scores = []
    for setting, point in zip((4, 16, 256), report["codecs"][0]["points"], strict=True):
        found = []
        for name, _, picture in decoded(place, setting):
            seen = model.detect(picture)
            found += [
                {"image_id": ids[f"{name}.png"], "category_id": int(label) + 1,
                 "segmentation": mask, "score": round(float(score), 6)}
                for score, label, mask in zip(*seen[1:], strict=True)
            ]  # fmt: skip
        evaluated = COCOeval(truth, truth.loadRes(found), "segm")
        evaluated.evaluate(), evaluated.accumulate(), evaluated.summarize()
        value = point["scores"]["mask_AP"]["value"]
        assert value == pytest.approx(100 * evaluated.stats[0], abs=1e-3)
        scores.append((value, point["scores"]["AP"]["value"]))
    assert scores[-1] == (pytest.approx(100), pytest.approx(100))
    assert 0 < scores[0][0] < 100 and scores[0][0] != pytest.approx(scores[0][1])


def test_labels_of_boxes_alone_give_ap_of_boxes(place, options):
    whole = json.loads((place / "set" / "instances.json").read_text())
    for entry in whole["annotations"]:
        entry["segmentation"] = []
    for entry in whole["images"]:
        del entry["height"], entry["width"]
    (place / "boxes.json").write_text(json.dumps(whole))
    shutil.copytree(place / "set" / "images", place / "images")
    boxes = replace(options, data=place / "boxes.json", photos=1)
    with pytest.raises(SpecError, match="no true masks of some objects, only boxes"):
        ran(place / "boxes", boxes, lambda line: None)
    report = ran(place / "words", replace(boxes, roi="embedded"), lambda line: None)
    assert report["uncompressed"].keys() == {"AP", "AP50"} and report["metric"] == "AP"
    assert report["uncompressed"]["AP"]["value"] == pytest.approx(100)


def test_a_task_s_classes_are_those_of_its_miou(place, options):
    (place / "cats.toml").write_text(TASK.replace("mask_AP", "mIoU").replace(', "dog"]', "]"))
    cats = replace(options, task=str(place / "cats.toml"), model=f"{place / 'parts.py'}:Pixels")
    report = ran(place / "cats", cats, lambda line: None)
    for point in report["codecs"][0]["points"]:
        assert point["scores"]["mIoU"]["value"] == pytest.approx(point["classes"]["cat"])
    assert point["classes"].keys() == {"background", "cat", "dog"}
    (place / "photos").mkdir()
    grey = np.full((64, 80, 3), 90, np.uint8)
    image.write(place / "photos" / "grey.png", grey)
    with pytest.raises(MetricError, match="none of the pictures shows a class that is scored"):
        ran(place / "grey", replace(cats, data=place / "photos", roi="embedded"),
                    lambda line: None)  # fmt: skip
    (place / "birds.toml").write_text((place / "cats.toml").read_text().replace("cat", "zebra"))
    with pytest.raises(MetricError, match="knows none of the classes zebra"):
        ran(place / "birds", replace(cats, task=str(place / "birds.toml"), roi="embedded"),
                    lambda line: None)  # fmt: skip


@pytest.mark.parametrize(("classes", "counted"), [("cat dog", (8, 12)), ("", (0, 8, 12))])
def test_labelled_miou_is_its_definition_in_the_labels_of_the_set(place, options, classes, counted):
    task = TASK.replace("mask_AP", "mIoU").replace('["cat", "dog"]', json.dumps(classes.split()))
    (place / "pixels.toml").write_text(task)
    semantic = replace(
        options, task=str(place / "pixels.toml"), model=f"{place / 'parts.py'}:Pixels"
    )
    report = ran(place / "semantic", semantic, lambda line: None)
    model = load_model(semantic.model)
    scores = []
    for setting, point in zip((4, 16, 256), report["codecs"][0]["points"], strict=True):
        true, seen = [], []
        for name, _, picture in decoded(place, setting):
            labels = np.asarray(Image.open(place / "set" / "voc_class_masks" / f"{name}.png"))
            own = model.segment(picture)
            as_voc = np.select([own == 2, own == 1], [VOC["cat"], VOC["dog"]], 0)
            true.append(labels[labels != 255])
            seen.append(as_voc[labels != 255])
        t, s = np.concatenate(true), np.concatenate(seen)
        ious = [((t == c) & (s == c)).sum() / ((t == c) | (s == c)).sum() for c in counted]
        scores.append(point["scores"]["mIoU"]["value"])
        assert scores[-1] == pytest.approx(100 * np.mean(ious), abs=1e-3)
    assert scores[0] < scores[-1] == pytest.approx(100)
