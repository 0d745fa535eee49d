"""Training pictures from folders, COCO files and the Hugging Face hub's format."""

import json
from dataclasses import replace

import numpy as np
import pytest

from vcm import image
from vcm.dataset import pictures
from vcm.errors import SpecError
from vcm.scale.sources import stem
from vcm.train.photos import Data, load_photos
from vcm.train.words import words_masks


@pytest.fixture
def folder(tmp_path, photos):
    for name, photo in photos.items():
        image.write(tmp_path / f"{name}.png", photo[:120, :130])
    return tmp_path


def names(photos):
    return sorted(stem(source) for source in pictures(photos))


def test_a_folder_and_a_coco_file(folder):
    assert names(str(folder)) == ["cat", "cup", "person"]
    entries = [{"id": 1, "file_name": "cup.png"}, {"id": 2, "file_name": "cat.png"}]
    (folder / "some.json").write_text(json.dumps({"images": entries}))
    assert names(str(folder / "some.json")) == ["cat", "cup"]


@pytest.mark.filterwarnings("ignore")  # of datasets and what it imports
def test_a_data_set_in_the_hub_format(folder, tmp_path_factory):
    pytest.importorskip("datasets", reason="needs: pip install 'vcm[hub]'")
    parts = names(f"hf:{folder}")
    assert parts == ["00000000", "00000001", "00000002"]
    training, held_out = load_photos(Data(photos=f"hf:{folder}:train", crop=64, held_out=1))
    found = {photo.pixels.tobytes() for photo in [*training, *held_out]}
    own = {image.read(path).tobytes() for path in folder.glob("*.png")}
    assert found == own
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(SpecError, match=f"hf:{empty}: the data set cannot be loaded"):
        pictures(f"hf:{empty}")
    texts = tmp_path_factory.mktemp("texts")
    (texts / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SpecError, match="none of its columns"):
        pictures(f"hf:{texts}")


def test_small_and_broken_pictures_are_counted(folder, caplog):
    (folder / "broken.png").write_bytes(b"junk")
    image.write(folder / "small.png", np.zeros((20, 20, 3), np.uint8))
    training, held_out = load_photos(Data(photos=str(folder), crop=64, held_out=1))
    assert len(training) == 2 and len(held_out) == 1
    assert "2 of 5 pictures skipped" in caplog.text
    for path in folder.glob("*.png"):
        path.write_bytes(b"junk")
    with pytest.raises(SpecError, match="found 0; the first of the others: .*is not a picture"):
        load_photos(Data(photos=str(folder), crop=64, held_out=1))


def test_what_does_not_fit_in_memory_is_read_again(folder, caplog):
    (folder / "maps").mkdir()
    (folder / "maps" / "cat.png").write_bytes(b"junk")
    image.write(folder / "maps" / "cup.png", np.full((120, 130), 7, np.uint8))
    image.write(folder / "maps" / "person.png", np.zeros((20, 30), np.uint8))
    data = Data(photos=str(folder), regions=(str(folder / "maps"),), crop=64, held_out=1)
    kept, _ = load_photos(data)
    again, _ = load_photos(replace(data, memory=0))
    for a, b in zip(kept, again, strict=True):
        assert np.array_equal(a.pixels, b.pixels) and a.pixels is not b.pixels
    assert again[0].pixels is not again[0].pixels and kept[0].pixels is kept[0].pixels
    assert "cat.png" in caplog.text and "person.png: expected one byte per pixel" in caplog.text


@pytest.mark.parametrize("memory", [0, 100])
def test_damage_behind_a_header_is_found_when_a_crop_is_taken(folder, caplog, memory):
    data = Data(photos=str(folder), crop=64, held_out=1, memory=memory)
    whole, _ = load_photos(data)
    by_pixels = {image.read(path).tobytes(): path for path in folder.glob("*.png")}
    damaged = by_pixels[whole[1].pixels.tobytes()]
    damaged.write_bytes(damaged.read_bytes()[:3000])
    photos, _ = load_photos(data)
    assert len(photos) == 2 and ("1 of 3 pictures skipped" in caplog.text) == bool(memory)
    assert np.array_equal(photos[1].pixels, photos[0].pixels)
    assert f"left out: '{damaged}'" in caplog.text
    photos, _ = load_photos(replace(data, memory=0))
    for path in folder.glob("*.png"):
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SpecError, match="all pictures are damaged"):
        photos[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"crop": 100}, "multiple of 64"), ({"batch": 0}, "batch"), ({"held_out": 0}, "held_out")],
)
def test_data_that_cannot_be(change, message):
    with pytest.raises(SpecError, match=message):
        Data(**change)


def test_a_run_that_goes_on_holds_out_the_same_pictures(folder, tmp_path_factory):
    kept = tmp_path_factory.mktemp("run") / "held_out.json"
    data = Data(photos=str(folder), crop=64, held_out=1)
    (before,) = load_photos(data, kept)[1]
    for number in range(20):
        image.write(folder / f"new-{number}.png", np.zeros((80, 80, 3), np.uint8))
    training, (after,) = load_photos(data, kept)
    assert np.array_equal(before.pixels, after.pixels) and len(training) == 22


def test_long_readings_say_how_far_they_are(folder, monkeypatch, caplog):
    monkeypatch.setattr("vcm.train.photos.SILENCE", 0.0)
    load_photos(Data(photos=str(folder), crop=64, held_out=1))
    assert "read 2 of 3 pictures" in caplog.text


def test_names_that_are_no_text_are_names(folder, tmp_path_factory):
    """Latin-1 bytes, as an old archive has them, also of the folder."""
    for path in list(folder.iterdir()):
        path.rename(folder / f"caf\udce9 {path.name}")
    place = folder.rename(folder.with_name("m\udce4dchen"))
    data = Data(photos=str(place), crop=64, held_out=1, words="cat")
    masks = words_masks(data, tmp_path_factory.mktemp("words"))
    training, held_out = load_photos(masks, place / "held_out.json")
    assert len(training) == 2 and len(held_out) == 1
    assert all(photo.labels is not None for photo in [*training, *held_out])


def test_two_pictures_of_one_name_do_not_share_a_label_map(folder):
    (folder / "regions").mkdir()
    image.write(folder / "cat.jpg", image.read(folder / "cat.png"))
    data = Data(photos=str(folder), crop=64, held_out=1, regions=(str(folder / "regions"),))
    assert len(load_photos(data)[0]) == 3  # there is none
    image.write(folder / "regions" / "cat.png", np.ones((120, 130), np.uint8))
    with pytest.raises(SpecError, match=r"cat\.jpg and .*cat\.png share the label map"):
        load_photos(data)
