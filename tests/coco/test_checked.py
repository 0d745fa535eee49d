"""COCO files as tools write them: read where the meaning is plain, else refused by name."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest

from vcm.coco.truth import checked, files, index, read
from vcm.errors import SpecError

BOX, CORNERS = [10, 20, 30, 5], [[10, 20, 40, 20, 40, 25, 10, 25]]
PLAIN = {
    "images": [{"id": 7, "file_name": "a.jpg", "height": 40, "width": 60}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": BOX, "area": 150, "iscrowd": 0,
         "segmentation": CORNERS},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 1,
         "segmentation": {"size": [40, 60], "counts": [0, 9, 2391]}},
    ],
}  # fmt: skip


def with_label(**fields):
    data = copy.deepcopy(PLAIN)
    data["annotations"][0] |= fields
    return data


def with_image(**fields):
    data = copy.deepcopy(PLAIN)
    data["images"][0] |= fields
    return data


@pytest.mark.parametrize(
    "data",
    [
        with_label(bbox=["10", "20.0", 30, "5"]),
        with_label(iscrowd=None),
        with_label(iscrowd="0"),
        with_label(iscrowd=False),
        with_label(area=None),
        with_label(area="150"),
        with_label(area=-1),
        with_label(id="one"),
        with_label(image_id="7", category_id="2"),
        with_label(image_id=7.0),
        with_label(segmentation=CORNERS[0]),
        with_label(segmentation=[[str(v) for v in CORNERS[0]]]),
        with_label(segmentation=[*CORNERS, [1, 2], [1, 2, 3, 4], []]),
        with_image(height="40", width=60.0),
        with_image(id="7"),
    ],
)
def test_what_is_plain_is_read(data):
    assert checked(data, "x") == checked(PLAIN, "x")


@pytest.mark.parametrize("size", [None, -1, "-1", 0])
def test_a_size_that_is_not_known_is_not_said(size):
    (entry,) = checked(with_image(height=size, width=size), "x").images
    assert entry.keys() == {"id"}


@pytest.mark.parametrize("box", [[], None, ""])
def test_labels_without_a_box_are_left_out_and_counted(box):
    truth = checked(with_label(bbox=box), "labels.json")
    assert len(truth.annotations) == 1
    assert truth.notes == ("labels.json: 1 labels without a box are left out",)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"image_id": 8}, "images that are not in the file"),
        ({"category_id": 3}, "categories that are not"),
    ],
)
def test_labels_of_nothing_are_left_out_and_counted(fields, kind):
    truth = checked(with_label(**fields), "x")
    assert len(truth.annotations) == 1 and f"1 labels of {kind}" in truth.notes[0]


@pytest.mark.parametrize("mask", [[], [[]], None, [[1, 2]], [[1, 2, 3, 4]], ""])
def test_a_label_without_a_mask_keeps_its_box(mask):
    truth = checked(with_label(segmentation=mask), "x")
    assert [a["bbox"] for a in truth.annotations] == [BOX, [0, 0, 9, 9]]
    assert "segmentation" not in truth.annotations[0]
    assert truth.notes == ("x: 1 of 2 labels have no mask; mask AP needs a mask on every label",)


def test_no_labels_are_no_labels():
    for labels in (None, []):
        assert checked(PLAIN | {"annotations": labels}, "x").annotations == ()
    with pytest.raises(SpecError, match="no annotations, categories"):
        checked({"images": []}, "x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_label(bbox=[1, 2, 3]), r"annotations\[0\] \(image 7\): bbox: expected \[x, y"),
        (with_label(bbox=[1, 2, 3, "wide"]), r"\(image 7\): bbox: expected a number, got 'wide'"),
        (with_label(bbox=[1, 2, 3, float("nan")]), "bbox: expected a number, got nan"),
        (with_label(bbox=[1, 2, 3, 10**400]), "bbox: expected a number"),
        (with_label(bbox=[1, 2, -3, 4]), "width and height of 0 or more"),
        (with_label(iscrowd="maybe"), r"\(image 7\): iscrowd: expected a number"),
        (with_label(iscrowd=2), "iscrowd: expected 0 or 1, got 2"),
        (with_label(image_id=None), r"annotations\[0\]: image_id: expected an id, got None"),
        (with_label(category_id=[1]), "category_id: expected an id"),
        (with_label(segmentation="drawn"), "segmentation: expected polygons or run lengths"),
        (with_label(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), "expected x, y of each corner"),
        (with_label(segmentation=[[1, 2, 3, 4, 5, 1e9]]), "expected x, y of each corner"),
        (with_label(segmentation={"size": [60, 40], "counts": [2400]}), "that of the image"),
        (with_label(segmentation={"size": [40, 60], "counts": [2401]}), "expected .* pixels"),
        (with_label(segmentation={"size": [40, 60], "counts": [2500, -100]}), "expected lengths"),
        (with_label(segmentation={"size": [40, 60], "counts": "o"}), "cut off"),
        (with_label(segmentation={"size": [40, 60]}), "expected run lengths, got None"),
        (with_image(height=1.5), r"images\[0\] \(image 7\): height: expected whole pixels"),
        (with_image(height="tall"), "height: expected a number, got 'tall'"),
        (with_image(id=None), r"images\[0\]: id: expected an id"),
        (PLAIN | {"images": PLAIN["images"] * 2}, "id 7 occurs twice"),
        (PLAIN | {"annotations": {}}, "annotations: expected a list"),
        (PLAIN | {"annotations": [3]}, r"annotations\[0\]: expected an object, got 3"),
        (PLAIN | {"categories": [{"id": 1}]}, r"categories\[0\]: name: expected one name"),
        (PLAIN | {"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "one name of"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_by_image_label_and_field(data, message):
    with pytest.raises(SpecError, match=message):
        checked(data, "x")


@pytest.mark.parametrize("second", ["a.jpg", "./a.jpg", "b/../a.jpg"])
def test_one_file_under_two_ids_is_refused_by_both(second):
    data = copy.deepcopy(PLAIN)
    data["images"].append({"id": 9, "file_name": second})
    with pytest.raises(SpecError, match="images 7 and 9 are the same file"):
        list(files(data, "x"))


@pytest.mark.parametrize("name", [None, "", 3, "a\0b"])
def test_an_image_needs_a_file(name):
    with pytest.raises(SpecError, match="image 7: file_name: expected one"):
        list(files(with_image(file_name=name), "x"))


def test_ids_may_be_names():
    data = with_image(id="seven")
    for label in data["annotations"]:
        label["image_id"] = "seven"
    truth = checked(data, "x")
    assert truth.images[0]["id"] == 1 and {a["image_id"] for a in truth.annotations} == {1}
    assert next(iter(files(data, "x")))[0]["id"] == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path, encoding):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(PLAIN), encoding=encoding)
    assert read(path).annotations == checked(PLAIN, "x").annotations


@pytest.mark.parametrize("data", [b"\xff\xfe{\0}\0", b"[" * 100_000, b'"text"', b"{"])
def test_what_is_no_json_object_is_refused(tmp_path, data):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(SpecError, match="not a COCO file"):
        read(tmp_path / "x.json")


def test_ap_is_that_of_pycocotools_on_the_file_as_it_is(tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng, data = np.random.default_rng(3), copy.deepcopy(PLAIN)
    data["images"] = [
        {"id": i, "file_name": f"{i}.jpg", "height": 200, "width": 200} for i in (7, 9, 12)
    ]
    data["annotations"], found = [], []
    for number, image_id in enumerate((7, 7, 9, 9, 12, 12), 1):
        box = [*rng.integers(0, 90, 2).tolist(), *rng.integers(20, 90, 2).tolist()]
        fields = {"category_id": 1 + number % 2, "image_id": image_id}
        data["annotations"].append(
            fields | {"id": number, "bbox": box, "area": box[2] * box[3], "iscrowd": number // 6}
        )
        moved = (np.array(box) + rng.integers(-9, 10, 4)).tolist()
        found.append(fields | {"bbox": moved, "score": float(rng.random())})
    (tmp_path / "plain.json").write_text(json.dumps(data))
    odd = copy.deepcopy(data)
    for entry in odd["annotations"]:  # the same labels, as some tools write them
        entry["bbox"] = [str(v) for v in entry["bbox"]]
        entry |= {"id": f"label {entry['id']}", "area": None, "iscrowd": str(entry["iscrowd"])}

    def scores(truth):
        with contextlib.redirect_stdout(io.StringIO()):
            evaluated = COCOeval(truth, truth.loadRes(copy.deepcopy(found)), "bbox")
            evaluated.evaluate()
            evaluated.accumulate()
            evaluated.summarize()
        return evaluated.stats

    with contextlib.redirect_stdout(io.StringIO()):
        theirs = scores(COCO(str(tmp_path / "plain.json")))
    assert 0.1 < theirs[0] < 0.95
    for written in (data, odd):
        np.testing.assert_allclose(scores(index(checked(written, "x"))), theirs, atol=1e-12)


def test_masks_are_those_of_pycocotools():
    from pycocotools import mask

    found = index(checked(PLAIN, "x"))
    polygon, runs = (found.annToMask(found.anns[i]) for i in (1, 2))
    drawn = mask.decode(mask.merge(mask.frPyObjects(CORNERS, 40, 60)))
    assert np.array_equal(polygon, drawn)
    assert 100 <= polygon.sum() <= 160 and polygon[20:25, 10:40].mean() > 0.8
    assert runs.sum() == 9 and runs[:9, 0].all()


@pytest.mark.parametrize("second", ["Cat", " cat", "CAT_"])
def test_a_class_of_coco_is_one_however_it_is_written(second):
    data = copy.deepcopy(PLAIN)
    data["categories"][1]["name"] = second
    truth = checked(data, "x")
    assert len(truth.categories) == 1 and {a["category_id"] for a in truth.annotations} == {1}
    assert truth.notes == (f"x: categories 1 (cat) and 2 ({second}) are one class: their labels "
                           f"are joined",)  # fmt: skip


def test_classes_of_others_that_differ_in_little_are_two_and_told_of():
    data = PLAIN | {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "A"}]}
    truth = checked(data, "x")
    assert [c["name"] for c in truth.categories] == ["a", "A"]
    assert "'a' and 'A' count as two classes" in truth.notes[0]


def test_boxes_in_shares_of_the_picture_are_refused():
    data = with_label(bbox=[0.1, 0.5, 0.5, 0.125])
    assert len(checked(data, "x").annotations) == 2  # the other one is in pixels
    data["annotations"][1]["bbox"] = [0, 0, 1, 1]
    with pytest.raises(SpecError, match="fractions of the picture"):
        checked(data, "x")


def test_labels_that_are_there_twice_are_told_of():
    data = copy.deepcopy(PLAIN)
    data["annotations"].append(data["annotations"][0] | {"id": 9})
    truth = checked(data, "x")
    assert len(truth.annotations) == 3  # as pycocotools counts them
    assert truth.notes == (
        "x: 1 labels are duplicates: an object labelled twice is found only once",
    )
