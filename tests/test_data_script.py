"""The script that makes the studies' sets from the official archives, on archives made of them."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vcm import dataset

SCRIPT = Path(__file__).parent.parent / "experiments" / "data" / "build.py"


def build(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_coco213_from_coco_s_annotations(shared, tmp_path, monkeypatch, capsys):
    ours = shared / "data" / "coco213"
    whole = json.loads((ours / "instances.json").read_text())
    other = {"id": 1, "file_name": "000000000001.jpg", "height": 5, "width": 5}
    for split in ("train2017", "val2017"):
        images = [e for e in whole["images"] if e["coco_split"] == split] + [other]
        plain = [{k: v for k, v in e.items() if k != "coco_split"} for e in images]
        text = json.dumps(whole | {"images": plain})
        (tmp_path / f"instances_{split}.json").write_text(text)
    photos = ours / "images"
    build(monkeypatch, "coco", "--annotations", tmp_path, "--photos", tmp_path, photos,
          "-o", tmp_path / "set")  # fmt: skip
    assert "213 pictures, all as they were measured" in capsys.readouterr().out
    again = json.loads((tmp_path / "set" / "instances.json").read_text())
    for key in ("annotations", "images"):
        ids = [sorted(entry["id"] for entry in part[key]) for part in (whole, again)]
        assert ids[0] == ids[1]
    assert len(dataset.load(tmp_path / "set", "coco_split=val2017").photos) == 89


def test_voc100_from_the_devkit(shared, tmp_path, monkeypatch):
    ours = shared / "data" / "voc100"
    for folder in ("JPEGImages", "SegmentationClass"):
        (tmp_path / folder).mkdir()
    for photo in (ours / "images").iterdir():
        stem = photo.stem.removeprefix("voc_")
        (tmp_path / "JPEGImages" / f"{stem}.jpg").symlink_to(photo)
        labels = Image.open(ours / "voc_class_masks" / f"{photo.stem}.png").convert("P")
        labels.save(tmp_path / "SegmentationClass" / f"{stem}.png")
    build(monkeypatch, "voc", "--photos", tmp_path, "-o", tmp_path / "set")
    made, known = (dataset.load(folder) for folder in (tmp_path / "set", ours))
    for photo in made.photos:  # of a photo's own labels the name alone counts
        assert np.array_equal(made.labels(photo), known.labels(photo))
    (tmp_path / "JPEGImages" / "2007_000332.jpg").unlink()
    (tmp_path / "JPEGImages" / "2007_000332.jpg").write_bytes(b"another")
    with pytest.raises(SystemExit, match="voc_2007_000332.jpg: not the picture"):
        build(monkeypatch, "voc", "--photos", tmp_path, "-o", tmp_path / "set")
