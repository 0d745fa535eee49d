"""AP against pycocotools' own summary, and resamples against sets that really are so."""

import contextlib
import io

import numpy as np
import pytest

from vcm.coco.truth import checked
from vcm.dataset import coco
from vcm.errors import MetricError
from vcm.metrics.detection import matches
from vcm.vision.base import Objects, rle, sorted_objects, unpacked

NAMES = ("cat", "dog", "bus")


def scene(seed, images=12):
    """Ground truth as COCO has it, and noisy detections with misses, doubles and false alarms."""
    rng = np.random.default_rng(seed)
    annotations, found = [], {}
    for image in range(images):
        boxes, labels = [], []
        for _ in range(rng.integers(0, 6)):
            x, y, w, h = (float(v) for v in rng.integers(1, 60, 4))
            label = int(rng.integers(0, 3))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label + 10,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
            for _ in range(rng.integers(0, 3)):
                jitter = rng.normal(0, 0.06, 4) * [w, h, w, h]
                boxes.append(np.array([x, y, x + w, y + h]) + jitter)
                labels.append(label if rng.random() < 0.9 else int(rng.integers(0, 3)))
        for _ in range(rng.integers(0, 4)):
            x, y, w, h = rng.integers(1, 60, 4)
            boxes.append(np.array([x, y, x + w, y + h], float))
            labels.append(int(rng.integers(0, 3)))
        scores = rng.random(len(boxes)).round(2)  # ties happen
        found[image] = sorted_objects(
            np.array(boxes).reshape(-1, 4), scores, np.array(labels, np.int64)
        )
    truth = {
        "images": [{"id": i, "height": 128, "width": 128} for i in range(images)],
        "annotations": annotations,
        "categories": [{"id": i + 10, "name": name} for i, name in enumerate(NAMES)],
    }
    return truth, found


def by_pycocotools(truth, found, categories=None):
    """AP and AP50 as `summarize` prints them."""
    from pycocotools.cocoeval import COCOeval

    index = coco(truth)
    rows = [
        {
            "image_id": image,
            "category_id": int(label) + 10,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "score": float(score),
        }
        for image, o in found.items()
        for box, score, label in zip(o.boxes.tolist(), o.scores, o.labels, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(index, index.loadRes(rows), "bbox")
        if categories:
            evaluation.params.catIds = categories
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return 100 * evaluation.stats[0], 100 * evaluation.stats[1]


@pytest.mark.parametrize("seed", range(8))
def test_ap_is_pycocotools_ap(seed):
    truth, found = scene(seed)
    scores = matches(coco(truth), range(12), found, NAMES).scores(np.ones((1, 12)))
    expected = by_pycocotools(truth, found)
    assert (scores["AP"][0], scores["AP50"][0]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("second", ["dog", "sofa"])
def test_a_class_under_two_ids_is_one(second):
    """Its AP is what pycocotools gives when all of its labels have one id."""
    truth, found = scene(1)
    first = {"dog": "dog", "sofa": "couch"}[second]
    names = tuple(first if name == "dog" else name for name in NAMES)
    expected = by_pycocotools(truth, found)
    truth["categories"][1]["name"] = first
    truth["categories"].append({"id": 901, "name": second})
    half = [a for a in truth["annotations"] if a["category_id"] == 11][::2]
    assert half
    for annotation in half:
        annotation["category_id"] = 901
    scores = matches(coco(truth), range(12), found, names).scores(np.ones((1, 12)))
    assert (scores["AP"][0], scores["AP50"][0]) == pytest.approx(expected, abs=1e-9)
    (note,) = checked(truth, "labels").notes
    assert f"categories 11 ({first}) and 901 ({second}) are one class" in note


def test_only_the_classes_that_count():
    truth, found = scene(1)
    result = matches(coco(truth), range(12), found, NAMES, classes=("dog",))
    expected, _ = by_pycocotools(truth, found, [11])
    assert result.scores(np.ones((1, 12)))["AP"][0] == pytest.approx(expected)
    assert result.per_class() == {"dog": pytest.approx(expected)}


@pytest.mark.parametrize("seed", range(4))
def test_a_resample_is_the_set_with_repeated_pictures(seed):
    truth, found = scene(seed)
    weights = np.random.default_rng(seed).multinomial(12, np.full(12, 1 / 12)).astype(float)
    result = matches(coco(truth), range(12), found, NAMES).scores(weights[None])
    repeated, objects = {"images": [], "annotations": []}, {}
    for image, count in enumerate(weights.astype(int)):
        for _ in range(count):
            new = len(repeated["images"])
            repeated["images"].append({"id": new, "height": 128, "width": 128})
            objects[new] = found[image]
            for a in truth["annotations"]:
                if a["image_id"] == image:
                    number = len(repeated["annotations"]) + 1
                    repeated["annotations"].append(a | {"image_id": new, "id": number})
    expected = by_pycocotools({**truth, **repeated}, objects)
    assert (result["AP"][0], result["AP50"][0]) == pytest.approx(expected, abs=1e-6)


def perfect(truth):
    """The ground truth as detections."""
    found = {}
    for image in truth["images"]:
        own = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        boxes = np.array([a["bbox"] for a in own]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([a["category_id"] - 10 for a in own], np.int64)
        found[image["id"]] = sorted_objects(boxes, np.ones(len(own)), labels)
    return found


def ap(truth, found):
    count = len(truth["images"])
    result = matches(coco(truth), range(count), found, NAMES)
    return result.scores(np.ones((1, count)))["AP"][0]


def test_what_is_true_scores_100_and_subtle_faults_do_not():
    truth, _ = scene(3)
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    found = perfect(truth)
    assert ap(truth, found) == pytest.approx(100)
    off_by_one = {k: o._replace(boxes=o.boxes + [0, 0, 1, 1]) for k, o in found.items()}
    assert ap(truth, off_by_one) < 99
    resized = {k: o._replace(boxes=o.boxes * np.float32(1.02)) for k, o in found.items()}
    assert ap(truth, resized) < 99
    wrong_ids = {k: o._replace(labels=(o.labels + 1) % 3) for k, o in found.items()}
    assert ap(truth, wrong_ids) < 20


def test_masks_are_compared_as_masks():
    mask = np.zeros((40, 50), np.bool_)
    mask[5:30, 10:20] = True
    assert np.array_equal(unpacked(rle(mask)), mask)
    truth = {
        "images": [{"id": 0, "height": 40, "width": 50}],
        "annotations": [
            {
                "id": 1, "image_id": 0, "category_id": 10, "bbox": [10, 5, 10, 25], "area": 250,
                "iscrowd": 0, "segmentation": rle(mask),
            }
        ],
        "categories": [{"id": 10, "name": "cat"}],
    }  # fmt: skip
    box = np.array([[10, 5, 20, 30]], np.float32)
    half = mask & (np.arange(40) < 15)[:, None]
    for given, expected in ((mask, 100), (half, 0)):
        found = Objects(box, np.ones(1, np.float32), np.zeros(1, np.int64), [rle(given)])
        result = matches(coco(truth), [0], {0: found}, NAMES, masks=True)
        assert result.scores(np.ones((1, 1)))["AP"][0] == pytest.approx(expected)
    with pytest.raises(MetricError, match="boxes only"):
        matches(coco(truth), [0], {0: found._replace(masks=None)}, NAMES, masks=True)


def test_nothing_found_scores_0_and_foreign_classes_are_refused():
    truth, found = scene(2)
    nothing = {k: o.above(2.0) for k, o in found.items()}
    assert ap(truth, nothing) == 0
    with pytest.raises(MetricError, match="knows none of the classes cat, dog, bus"):
        matches(coco(truth), range(12), found, ("lion", "tiger", "bear"))
    empty = truth | {"annotations": []}
    with pytest.raises(MetricError, match="none of the pictures"):
        matches(coco(empty), range(12), found, NAMES)


def test_a_resample_without_objects_has_no_score():
    truth, found = scene(1)
    alone = next(a["image_id"] for a in truth["annotations"])
    weights = np.zeros((1, 12))
    weights[0, [i for i in range(12) if i != alone]] = 1
    truth["annotations"] = [a for a in truth["annotations"] if a["image_id"] == alone]
    result = matches(coco(truth), range(12), found, NAMES)
    assert np.isnan(result.scores(weights)["AP"][0])
    assert result.scores(1 - weights)["AP"][0] > 0


def test_ground_truth_in_the_spelling_of_voc():
    truth, _ = scene(3)
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    found = perfect(truth)
    truth["categories"][1]["name"] = "sofa"
    names = ("cat", "couch", "bus")
    result = matches(coco(truth), range(12), found, names, classes=("sofa",))
    assert result.per_class() == {"couch": pytest.approx(100)}
