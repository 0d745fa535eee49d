"""Ground truth that fits the pictures, the task and the model, or is refused."""

import json
import tarfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vcm import dataset, image
from vcm.errors import MetricError, SpecError
from vcm.evaluate.expected import check_expected, uncompressed
from vcm.evaluate.plan import Plan
from vcm.evaluate.record import Record, stamp, unpacked
from vcm.evaluate.score import Scorer, check
from vcm.evaluate.truth import UPRIGHT, check_mask, true_roi
from vcm.image import Reading
from vcm.scale.sources import read
from vcm.task import TaskSpec


@pytest.fixture
def folder(tmp_path):
    """A photo with a sofa and a cat on it, as a tool writes it that knows no crowds."""
    (tmp_path / "images").mkdir()
    image.write(tmp_path / "images" / "a.png", np.zeros((40, 60, 3), np.uint8))
    square = [[10, 10, 30, 10, 30, 30, 10, 30]]
    inner = [[15, 15, 20, 15, 20, 20, 15, 20]]
    entries = {
        "images": [{"id": 7, "file_name": "a.png", "height": 40, "width": 60}],
        "categories": [{"id": 1, "name": "sofa"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 0, "image_id": 7, "category_id": 1, "bbox": [10, 10, 20, 20],
             "segmentation": square},
            {"id": 0, "image_id": 7, "category_id": 2, "bbox": [15, 15, 5, 5],
             "segmentation": inner},
        ],
    }  # fmt: skip
    (tmp_path / "instances.json").write_text(json.dumps(entries))
    return tmp_path


def plan(folder, **task):
    spec = TaskSpec("text", 1, "", **{"phrases": ("couch",), "exclude": (), **task})
    return Plan(spec, "embedded", dataset.load(folder), (), roi="truth")


def roi(plan):
    (photo,) = plan.data.photos
    return true_roi(plan, photo, read(photo)).roi


def test_true_masks_are_what_the_task_means(folder):
    couch, cat = roi(plan(folder)), roi(plan(folder, phrases=("cat",)))
    assert 300 < couch.sum() < 500 and 0 < cat.sum() < 60 and (cat <= couch).all()
    assert np.array_equal(roi(plan(folder, exclude=("cat",))), couch & ~cat)
    with pytest.raises(SpecError, match="nobody drew lion on .*; it has cat, couch"):
        roi(plan(folder, phrases=("cat", "lion")))


def record(**size):
    box = {"boxes": [[10, 10, 30, 30]], "scores": [0.9], "labels": [0]}
    told = {"height": 40, "width": 60, **size}
    kept = {"said": [], "roi_share": 0.0, "roi_source": "", "original": unpacked(box)}
    return Record("", "a.png", "", **told, **kept)


def scorer(plan, names, **size):
    return Scorer(plan, "boxes", names, [record(**size)], np.ones((1, 1)))


def test_ids_of_0_and_missing_fields_of_annotations_are_mended(folder):
    found = scorer(plan(folder), ("couch", "cat"))
    assert found.original().classes == {"couch": pytest.approx(100), "cat": 0}
    assert found.unknown == ()


def test_classes_that_the_model_does_not_know_are_named(folder):
    found = scorer(plan(folder), ("couch", "dog"))
    assert found.unknown == ("cat",)
    assert scorer(plan(folder, classes=("sofa",)), ("couch", "dog")).unknown == ()


def test_a_picture_of_another_size_than_its_boxes_is_refused(folder):
    with pytest.raises(MetricError, match="60x20 pixels, its COCO entry says 60x40"):
        scorer(plan(folder), ("couch", "cat"), height=20)


def test_classes_that_nobody_labelled_are_named(folder, caplog):
    scorer(plan(folder, classes=("cat", "lion")), ("couch", "cat"))
    assert "the ground truth has no class lion; it has couch, cat" in caplog.text
    with pytest.raises(MetricError, match="the ground truth has no class lion"):
        scorer(plan(folder, classes=("lion",)), ("couch", "cat"))


def test_what_can_have_no_score_is_known_before_the_work(folder):
    check(plan(folder), "boxes", ("sofa",))
    check(plan(folder), "semantic", ("background", "sofa"))
    for classes, names, message in (
        (("lion",), ("cat",), "no class lion"),
        ((), ("dog",), "knows none of the classes couch, cat"),
    ):
        with pytest.raises(MetricError, match=message):
            check(plan(folder, classes=classes), "boxes", names)
    path = folder / "instances.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"annotations": None}))
    with pytest.raises(MetricError, match="none of the pictures shows an object"):
        check(plan(folder), "boxes", ("couch",))
    path.write_text(
        json.dumps(data | {"annotations": [a | {"iscrowd": 1} for a in data["annotations"]]})
    )
    with pytest.raises(MetricError, match="none of the pictures shows an object"):
        check(plan(folder), "boxes", ("couch",))


def test_a_model_may_name_classes_in_its_own_way(folder):
    for name in ("sofa", "Couch", "COUCH_"):
        found = scorer(plan(folder, classes=("couch",)), (name, "dog"))
        assert found.original().classes == {"couch": pytest.approx(100)}
        assert found.unknown == ()


def test_a_model_that_sees_nothing_of_the_labels_is_refused(folder):
    (photo,) = (task := plan(folder)).data.photos
    seen = SimpleNamespace(kind="boxes", names=("dog", "cat"))  # the couch, as a dog
    scores = uncompressed(task, seen, {photo.name: record()})
    with pytest.raises(MetricError, match="uncompressed AP 0.0: the model finds nothing") as error:
        check_expected(task, scores)
    assert error.value.hint == "score"


def test_class_masks_of_a_turned_photo_are_said_or_refused(tmp_path):
    for name in ("images", "voc_class_masks"):
        (tmp_path / name).mkdir()
    mask, exif = tmp_path / "voc_class_masks" / "a.png", Image.Exif()
    image.write(mask, np.zeros((40, 60), np.uint8))
    for way, size in ((3, (60, 40)), (6, (60, 40))):
        exif[0x0112] = way
        Image.new("RGB", size).save(tmp_path / "images" / "a.png", exif=exif)
        data = dataset.load(tmp_path)
        (photo,) = data.photos
        checked = check_mask(data, photo, read(photo), way)
        if way == 3:
            assert list(checked) == [UPRIGHT]
            continue
        with pytest.raises(SpecError, match="40x60 pixels, its class mask has 60x40: EXIF") as told:
            list(checked)
        assert told.value.hint == "turned"
    assert not list(check_mask(data, photo, read(photo, Reading(upright=False)), 1))


def test_objects_need_boxes(folder):
    path = folder / "instances.json"
    path.write_text(path.read_text().replace('"bbox"', '"box"'))
    with pytest.raises(SpecError, match="no label can be used: 2 labels without a box"):
        dataset.coco(path)


def test_a_shard_that_is_written_anew_is_measured_anew(folder, tmp_path):
    stamps = set()
    for colour in (0, 9):
        image.write(tmp_path / "a.png", np.full((40, 60, 3), colour, np.uint8))
        with tarfile.open(tmp_path / "0.tar", "w") as tar:
            tar.add(tmp_path / "a.png", "a.png")
        data = dataset.load(tmp_path / "0.tar")
        stamps.add(stamp(data.photos[0], data))
    assert len(stamps) == 2


def test_what_records_depend_on(folder):
    known = plan(folder)
    weights = folder / "state.pt"
    weights.write_bytes(b"1")
    state = replace(known, model=f"torchvision:fcos={weights}")
    key = state.key
    weights.write_bytes(b"22")
    assert state.key != key  # a file behind the name of an architecture
    (folder / "config.yaml").write_text("MODEL: {WEIGHTS: state.pt}")
    rcnn = replace(known, model=f"rcnn:{folder / 'config.yaml'}")
    key = rcnn.key
    weights.write_bytes(b"333")
    assert rcnn.key != key  # trained anew
    key = known.key
    assert replace(known, roi="embedded").key != key != plan(folder, phrases=("cat",)).key
    others = {"tau": 0.3, "dilation": 5, "detail": 2, "exclude": ("tie",), "classes": ("cat",)}
    tasks = [replace(known.task, **{name: value}) for name, value in others.items()]
    plans = [known, replace(known, on_empty="background"), *(replace(known, task=t) for t in tasks)]
    assert len({one.key for one in plans}) == len(plans)
    path = folder / "instances.json"
    path.write_text(path.read_text() + " ")  # true masks may be others
    assert known.key != key
