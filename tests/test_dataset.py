"""Data sets as people have them: COCO files, folders of photos, class masks."""

import json

import numpy as np
import pytest
from PIL import Image

from vcm import image
from vcm.dataset import VOC, coco, load, thinned
from vcm.errors import ImageError, SpecError


@pytest.fixture
def folder(tmp_path, photos):
    (tmp_path / "images").mkdir()
    entries = []
    for number, name in ((7, "b.png"), (3, "a.png"), (5, "c.png")):
        image.write(tmp_path / "images" / name, photos["cup"][:40, :60])
        entries.append(
            {"id": number, "file_name": name, "height": 40, "width": 60, "split": f"s{number % 2}"}
        )
    entries[2]["split"] = "other"
    data = {"images": entries, "annotations": [], "categories": [{"id": 1, "name": "cup"}]}
    (tmp_path / "instances.json").write_text(json.dumps(data))
    return tmp_path


def test_a_coco_folder_and_its_file_are_one_set(folder):
    data = load(folder)
    assert [p.name for p in data.photos] == ["a.png", "c.png", "b.png"]  # by id
    assert data == load(folder / "instances.json")
    assert data.photos[0].path == folder / "images" / "a.png" and not data.part
    assert coco(data.annotations).getImgIds() == [7, 3, 5]


@pytest.mark.parametrize("name", ["val2017", "train2017"])
def test_photos_lie_as_in_coco_s_archives(folder, name):
    (folder / "annotations").mkdir()
    (folder / "instances.json").rename(folder / "annotations" / f"instances_{name}.json")
    (folder / "images").rename(folder / name)
    data = load(folder / "annotations" / f"instances_{name}.json")
    assert data.photos[0].path == folder / name / "a.png"


def test_a_damaged_class_mask_is_named(folder):
    (folder / "voc_class_masks").mkdir()
    (folder / "voc_class_masks" / "a.png").write_bytes(b"junk")
    data = load(folder)
    with pytest.raises(SpecError, match="a.png: not a class mask that can be read"):
        data.labels(data.photos[0])


def test_a_part_of_a_set(folder):
    part = load(folder, "split=other")
    assert [p.id for p in part.photos] == [5] and part.only and not part.part
    with pytest.raises(SpecError, match="no images with split=none"):
        load(folder, "split=none")
    with pytest.raises(SpecError, match="FIELD=VALUE"):
        load(folder, "split")
    with pytest.raises(SpecError, match="no COCO file"):
        load(folder / "images", "split=other")


def test_thinned_keeps_both_ends(folder):
    data = load(folder)
    assert [p.name for p in thinned(data, 2).photos] == ["a.png", "b.png"]
    assert thinned(data, 2).part and thinned(data, 3) == data
    with pytest.raises(SpecError, match="1 or more"):
        thinned(data, 0)


def test_any_folder_of_photos(folder):
    data = load(folder / "images")
    assert [p.name for p in data.photos] == ["a.png", "b.png", "c.png"]
    assert data.annotations is None and data.masks is None
    (folder / "empty").mkdir()
    with pytest.raises(ImageError, match="no picture directly in"):
        load(folder / "empty")


def test_class_masks(folder):
    masks = folder / "voc_class_masks"
    masks.mkdir()
    labels = np.full((40, 60), 255, np.uint8)
    labels[:20] = VOC.index("cat")
    Image.fromarray(labels).save(masks / "a.png")
    data = load(folder)
    assert np.array_equal(data.labels(data.photos[0]), labels)
    with pytest.raises(SpecError, match="no class mask of c.png"):
        data.labels(data.photos[1])
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(masks / "c.png")
    with pytest.raises(SpecError, match="one byte a pixel"):
        data.labels(data.photos[1])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": [{}]}', '{"images": 3}'])
def test_files_that_are_not_coco(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(SpecError, match="COCO|images"):
        load(tmp_path / "x.json")


def test_coco_needs_annotations(tmp_path):
    with pytest.raises(SpecError, match="no annotations, categories"):
        coco({"images": []})
