"""Where people keep the pictures of a COCO file."""

import json

import numpy as np
import pytest

from vcm import image
from vcm.dataset import load, pictures
from vcm.errors import SpecError

LABELS = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}
LAYOUTS = {  # where the labels are, where the picture is, what is opened
    "ours": ("instances.json", "images/a.png", "."),
    "beside": ("labels.json", "a.png", "labels.json"),
    "coco": ("annotations/instances_val2017.json", "val2017/a.png", "."),
    "ultralytics": ("annotations/instances_val2017.json", "images/val2017/a.png", "."),
    "cvat": ("annotations/instances_default.json", "images/a.png", "."),
    "cvat with a subset": ("annotations/instances_default.json", "images/default/a.png", "."),
    "roboflow": ("_annotations.coco.json", "a.png", "."),
}


def laid_out(folder, labels, picture):
    for name in (labels, picture):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / labels).write_text(json.dumps(LABELS))
    image.write(folder / picture, np.zeros((8, 9, 3), np.uint8))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_are_found(tmp_path, layout):
    labels, picture, opened = LAYOUTS[layout]
    laid_out(tmp_path, labels, picture)
    for path in (tmp_path / opened, tmp_path / labels):
        data = load(path)
        assert data.annotations == tmp_path / labels
        assert [photo.path.resolve() for photo in data.photos] == [tmp_path / picture]
    assert len(list(pictures(tmp_path / labels))) == 1


def test_else_it_is_said_where_they_were_looked_for(tmp_path):
    laid_out(tmp_path, "annotations/instances_val2017.json", "photos/a.png")
    with pytest.raises(
        SpecError, match=r"none of its 1 pictures was found; a\.png is not in"
    ) as told:
        load(tmp_path)
    assert told.value.hint == "pictures"
    for place in ("annotations/images", "val2017", "images/val2017"):
        assert str(tmp_path / place) in str(told.value)
    data = load(tmp_path, images=tmp_path / "photos")
    assert data.photos[0].path == tmp_path / "photos/a.png"


def test_several_files_of_labels_are_named(tmp_path):
    for split in ("train", "val"):
        laid_out(tmp_path, f"annotations/instances_{split}2017.json", f"{split}2017/a.png")
    with pytest.raises(SpecError, match="expected one COCO file, got annotations/instances_train"):
        load(tmp_path)
    with pytest.raises(SpecError, match="no COCO file; only its pictures"):
        load(tmp_path / "val2017", images=tmp_path / "val2017")


def test_photos_of_one_name_have_class_masks_of_their_own(tmp_path):
    data = {"images": [{"id": i, "file_name": f"{i}/a.png"} for i in (1, 2)]}
    (tmp_path / "instances.json").write_text(json.dumps(data))
    for i in (1, 2):
        for folder in ("images", "voc_class_masks"):
            (tmp_path / folder / str(i)).mkdir(parents=True)
            image.write(tmp_path / folder / f"{i}/a.png", np.full((8, 9), i, np.uint8))
    found = load(tmp_path)
    assert [int(found.labels(photo).max()) for photo in found.photos] == [1, 2]
    (tmp_path / "voc_class_masks/1/a.png").rename(tmp_path / "voc_class_masks/a.png")
    (tmp_path / "voc_class_masks/2/a.png").unlink()
    with pytest.raises(SpecError, match="1/a.png and 2/a.png share the class mask"):
        load(tmp_path)


@pytest.mark.parametrize("second", ["images/a.png", "link.png"])
def test_one_file_by_two_names_is_refused_by_both_ids(tmp_path, second):
    laid_out(tmp_path, "instances.json", "images/a.png")
    (tmp_path / "images/link.png").symlink_to("a.png")
    both = [LABELS["images"][0], {"id": 4, "file_name": second}]
    (tmp_path / "instances.json").write_text(json.dumps(LABELS | {"images": both}))
    with pytest.raises(SpecError, match="images 1 and 4 are the same file, .*: its labels"):
        load(tmp_path)
