"""The second tab: a task over a few photos."""

from types import SimpleNamespace

import pytest

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.web import study

TASK = """
name = "{name}"
version = 1
description = "a toy"
phrases = ["{phrase}"]
"""


def _silent(share, what):
    pass


def _wanted(photos, task="coco-person", codecs=("jpeg",)):
    return study.Wanted(str(task), "embedded", [str(path) for path in photos], codecs, "base")


@pytest.mark.parametrize("count", [0, study.MAX_PHOTOS + 1])
def test_it_takes_a_few_photos(tmp_path, count):
    with pytest.raises(SpecError, match=f"{count} are chosen"):
        study.study(_wanted([tmp_path] * count), tmp_path, _silent)


def test_it_needs_a_codec(tmp_path):
    with pytest.raises(SpecError, match="at least one codec"):
        study.study(_wanted([tmp_path], codecs=()), tmp_path, _silent)


def test_a_photo_that_the_page_does_not_take_stops_it_and_leaves_nothing(tmp_path, cat):
    image.write(tmp_path / "cat.png", cat)
    (tmp_path / "cat.jfif").write_bytes(b"no picture")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(ImageError, match=r"^'cat\.jfif' is not a picture"):
        study.study(_wanted([tmp_path / "cat.png", tmp_path / "cat.jfif"]), place, _silent)
    assert not list(place.iterdir())


def test_an_error_in_a_task_file_does_not_say_where_it_lies(tmp_path, cat):
    image.write(tmp_path / "cat.png", cat)
    folder = tmp_path / "place" / "1a2b3c"
    folder.mkdir(parents=True)
    (folder / "my task.toml").write_text("name = 3")
    wanted = _wanted([tmp_path / "cat.png"], folder / "my task.toml")
    with pytest.raises(SpecError, match=r"^my task\.toml: name"):
        study.study(wanted, folder.parent, _silent)
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.slow
def test_photos_of_any_name_become_a_plot_a_table_and_a_page(tmp_path, photos):
    cup = tmp_path / "cup.png"
    image.write(cup, photos["cup"][::2, ::2])
    cup = cup.rename(tmp_path / "cup.jfif")
    place, told = tmp_path / "place", []
    place.mkdir()
    task = tmp_path / "toy.toml"
    task.write_text(TASK.format(name="toy", phrase="giraffe"))
    wanted = _wanted([cup, cup], task)  # two of one name
    done = study.study(wanted, place, lambda share, what: told.append(what))
    assert image.read(done.plot).shape[0] > 100
    assert any("JPEG" in line for line in done.lines)
    page = done.page.read_text(encoding="utf-8")
    assert "02-cup.png" in page and str(tmp_path) not in page.split("How this was made")[0]
    assert "one network" in done.notes[0] and ": 2 (all background" in done.notes[1]
    left = {path.name for path in place.rglob("*") if path.is_file()}
    assert left == {"plot.png", "index.html"} and "coding and looking" in told


@pytest.mark.parametrize(
    ("model", "without", "expected"),
    [
        ("yolo:yolo11n.pt", 0, ()),
        ("embedded", 0, ("one network: scores flatter",)),
        ("yolo:yolo11n.pt", 2, ("nothing was found: 2",)),
        ("embedded", 1, ("one network: scores flatter", "nothing was found: 1")),
    ],
)
def test_notes_say_what_flatters_and_what_the_first_tab_does_otherwise(model, without, expected):
    roi = SimpleNamespace(networks=("embedded",), without=without)
    said = study.notes(SimpleNamespace(plan=SimpleNamespace(model=model), roi=roi))
    assert len(said) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, said, strict=True))
