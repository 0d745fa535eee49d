"""Thousands of files with something wrong: a sentence before any work, or work that ends well."""

from collections import Counter

import numpy as np
import pytest
from fuzz_data import as_json, as_toml, mutated

from vcm import image
from vcm.coco.truth import index, read
from vcm.dataset import coco, load
from vcm.errors import ImageError, MetricError, SpecError
from vcm.evaluate.plan import Plan
from vcm.evaluate.truth import check_photo, true_roi
from vcm.metrics.detection import has_masks, matches
from vcm.task import FOLDER, TaskSpec, find_task
from vcm.vision.base import Objects, rle

COUNT = 2_000
BOX = np.array([[4, 4, 20, 16]], np.float32)
INSIDE = np.zeros((24, 32), np.bool_)
INSIDE[4:16, 4:20] = True
FOUND = Objects(BOX, np.ones(1, np.float32), np.zeros(1, np.int64), [rle(INSIDE)])
PLAIN = {
    "images": [
        {"id": 1, "file_name": "a.png", "height": 24, "width": 32, "split": "x"},
        {"id": 2, "file_name": "b.png", "height": 24, "width": 32},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "sofa"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 16, 12], "area": 192,
         "iscrowd": 0, "segmentation": [[4, 4, 20, 4, 20, 16, 4, 16]]},
        {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 1,
         "segmentation": {"size": [24, 32], "counts": [0, 9, 759]}},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [4, 4, 16, 12], "area": 192,
         "iscrowd": 0, "segmentation": rle(INSIDE)},
    ],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        image.write(tmp_path / name, np.zeros((24, 32, 3), np.uint8))
    return tmp_path


def scored(data):
    """All that an evaluation does with labels that were not refused."""
    truth = coco(data.annotations)
    plan = Plan(TaskSpec("text", 1, "", ("cat",)), "embedded", data, (), roi="truth")
    whole = []
    for photo in data.photos:
        try:
            picture = image.read(photo.path)
            list(check_photo(data, photo, picture, 1))
        except (ImageError, SpecError):  # this photo fails, and no other one
            continue
        whole.append(photo.id)
        entry = truth.imgs[photo.id]
        entry["height"], entry["width"] = picture.shape[:2]
        if has_masks(truth) and truth.anns:
            true_roi(plan, photo, picture)
    for masks in [False, True] if has_masks(truth) else [False]:
        found = dict.fromkeys(whole, FOUND)
        result = matches(truth, whole, found, ("cat", "couch"), masks=masks)
        scores = result.scores(np.ones((1, len(whole))))
        assert 0 <= scores["AP"][0] <= 100


@pytest.mark.slow
def test_any_coco_file_is_refused_before_the_work_or_scored(folder):
    rng, path, outcomes = np.random.default_rng(27), folder / "x.json", Counter()
    for number in range(COUNT):
        path.write_bytes(as_json(mutated(PLAIN, rng), rng))
        try:
            data = load(path)
            index(read(path))
        except SpecError as error:
            assert str(path) in str(error) and len(str(error)) < 2_000, number
            outcomes["refused"] += 1
            continue
        try:
            scored(data)
        except (MetricError, SpecError):  # nothing is left to score; a mask of another picture
            outcomes["nothing to score"] += 1
        else:
            outcomes["scored"] += 1
    assert min(outcomes["refused"], outcomes["scored"]) > COUNT / 10, outcomes


def test_any_task_file_is_refused_or_a_task(tmp_path):
    rng, path, outcomes = np.random.default_rng(27), tmp_path / "x.toml", Counter()
    texts = [file.read_text() for file in sorted(FOLDER.glob("*.toml"))]
    for _ in range(COUNT):
        path.write_bytes(as_toml(texts[rng.integers(len(texts))], rng))
        try:
            task = find_task(path)
        except SpecError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            outcomes["refused"] += 1
        else:
            assert task.text.isprintable() or task.phrases
            outcomes["read"] += 1
    assert min(outcomes["refused"], outcomes["read"]) > COUNT / 20, outcomes
