"""Words in training: masks are found once, by picture, and are those that a task would give."""

import tarfile
from dataclasses import replace

import numpy as np
import pytest

from vcm import image
from vcm.errors import SpecError, UnknownWord
from vcm.pipeline import find_roi
from vcm.roi import load_backend
from vcm.task import find_task
from vcm.train.photos import Data, load_photos
from vcm.train.words import check_words, words_masks


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(4):
        image.write(folder / f"{i}.png", photos["cat"][:, i * 40 : i * 40 + 300])
    return folder


def test_masks_of_words_are_made_once(pictures, tmp_path):
    data = Data(photos=str(pictures), words="cat")
    made = words_masks(data, tmp_path)
    (folder,) = made.regions
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
    assert len(times) == 4 and words_masks(data, tmp_path) == made
    assert all(p.stat().st_mtime_ns == t for p, t in times.items())
    assert words_masks(replace(data, words=""), tmp_path).regions == ()
    with pytest.raises(SpecError, match="task or words"):
        Data(task="coco-person", words="person")


def test_processes_share_the_words_and_pictures_of_one_name_have_masks_of_their_own(
    photos, tmp_path
):
    for shard in range(2):  # both with a picture 0.png, of other contents
        with tarfile.open(tmp_path / f"in-{shard}.tar", "w") as tar:
            for number in range(2):
                picture = photos["cat"] if shard == number else np.full_like(photos["cat"], 128)
                image.write(tmp_path / "0.png", picture)
                tar.add(tmp_path / "0.png", f"{number}.png")
    data = Data(photos=str(tmp_path / "in-{0..1}.tar"), words="cat", held_out=1)
    for number in range(2):
        made = words_masks(data, tmp_path / "words", number, 2)
        assert len(list((tmp_path / "words").rglob("*.png"))) == 2 * (number + 1)
    learnt, held_out = load_photos(made)
    for pixels, labels in [*learnt, *held_out]:
        assert labels.any() == (pixels.std() > 0)


def test_a_replaced_picture_has_a_mask_of_its_own(photos, tmp_path):
    for name in ("a", "b"):
        image.write(tmp_path / f"{name}.png", photos["cat"])
    data = Data(photos=str(tmp_path), words="cat", held_out=1)
    words_masks(data, tmp_path / "words")
    image.write(tmp_path / "a.png", np.full_like(photos["cat"], 128))
    learnt, held_out = load_photos(words_masks(data, tmp_path / "words"))
    found = [labels.any() == (pixels.std() > 0) for pixels, labels in [*learnt, *held_out]]
    assert found == [True, True]


def test_words_are_checked_before_any_work():
    check_words(Data(words="cat -dog"))
    with pytest.raises(UnknownWord):
        check_words(Data(words="unicorn"))
    with pytest.raises(SpecError):
        check_words(Data(task="no-such-task"))


def test_masks_of_a_task_have_its_numbers(pictures, tmp_path):
    spec = tmp_path / "pets.toml"
    text = 'name = "pets"\nversion = 1\ndescription = "pets"\nphrases = ["cat"]\n'
    for number in ("tau = 0.15\ndilation = 30\n", ""):
        spec.write_text(text + number)
        task = find_task(spec)
        data = words_masks(Data(photos=str(pictures), task=str(spec)), tmp_path)
        backend = load_backend("embedded", detail=task.detail)
        learnt, held_out = load_photos(replace(data, held_out=1))
        for pixels, labels in [*learnt, *held_out]:
            assert np.array_equal(labels, find_roi(pixels, task, backend).roi)
    assert len(list(tmp_path.glob("*/"))) == 2
