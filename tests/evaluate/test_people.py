"""`vcm eval` on files as people have them: no name stops it, and no number is silently wrong."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from evaluated import ran
from PIL import Image

from vcm import image
from vcm.cli import cli, main
from vcm.commands import eval as command
from vcm.commands.hints import helped
from vcm.errors import MetricError, ModelError, OutputError, SpecError
from vcm.evaluate import store
from vcm.evaluate.measure import Measurer
from vcm.evaluate.result import nothing_measured, oddities
from vcm.files import held
from vcm.image import Reading

pytestmark = pytest.mark.slow  # whole evaluations

PARTS = """
import numpy as np
from vcm.vision.base import Objects

class White:
    kind, names = "boxes", ("cat",)

    def detect(self, image):
        there = image.min(2) > 128
        if not there.any():
            return Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
        ys, xs = (np.flatnonzero(there.any(a)) for a in (1, 0))
        box = np.array([[xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]], np.float32)
        return Objects(box, np.ones(1, np.float32), np.zeros(1, np.int64))
"""
NAMES = ("caf\udce9.png", "n" * 246 + ".png", "a/b.png", "a_b.png")  # the first is Latin-1


@pytest.fixture
def place(tmp_path):
    (tmp_path / "parts.py").write_text(PARTS)
    return tmp_path


def labelled(place, names, size=(64, 80), box=(10, 20, 30, 16), exif=None):
    """A set of photos with a white box each."""
    entries, labels = [], []
    x, y, w, h = box
    for number, name in enumerate(names, 1):
        path = place / "set" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.zeros((*size, 3), np.uint8)
        picture[y : y + h, x : x + w] = 255
        Image.fromarray(picture).save(path, exif=exif or Image.Exif())
        entries.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        labels.append({"image_id": number, "category_id": 1, "bbox": list(box)})
    write_labels(place, entries, labels)
    return entries, labels


def write_labels(place, entries, labels):
    data = {"images": entries, "annotations": labels, "categories": [{"id": 1, "name": "cat"}]}
    (place / "set" / "instances.json").write_text(json.dumps(data))


def options(place, **changes):
    told = command.EvalOptions(
        task=None, text="cat", model=f"{place / 'parts.py'}:White", data=place / "set", only=None,
        photos=None, codecs="jpeg:at=30/90", roi="embedded", roi_weights=None, on_empty="whole",
        weights="base", reference=None, workers=1, cache=None, no_cache=True, unchecked=False,
        wandb=None, perceptual=False,
    )  # fmt: skip
    return replace(told, **changes)


def silent(line):
    pass


def test_no_name_of_a_photo_stops_an_evaluation(place):
    labelled(place, NAMES)
    (place / "set").rename(place / "s\udcebt")
    report = ran(place / "out", options(place, data=place / "s\udcebt"), silent)
    assert report["data"]["pictures"] == 4 and not report["failed"]
    assert report["uncompressed"]["AP"]["value"] == pytest.approx(100)
    with (place / "out" / "pictures.csv").open(errors="surrogateescape", newline="") as file:
        assert {row["picture"] for row in csv.DictReader(file)} == set(NAMES)
    assert b"caf\xe9.png" in (place / "out" / "index.html").read_bytes()
    assert json.loads((place / "out" / "results.json").read_text())["data"]["name"] == "s\udcebt"


def test_a_photo_whose_labels_do_not_fit_fails_alone_and_what_is_odd_is_counted(place):
    entries, labels = labelled(place, ["a.png", "b.png", "c.png", "d.png"])
    entries[1]["height"], entries[1]["width"] = 32, 40  # resized since
    for label in labels[2:]:
        label["bbox"] = [70, 20, 30, 16]
    labels.append({"image_id": 1, "category_id": 1, "bbox": None})
    write_labels(place, entries, labels)
    said = []
    report = ran(place / "out", options(place), said.append)
    assert report["data"]["pictures"] == 3 and list(report["failed"]) == ["b.png"]
    assert "80x64 pixels, its COCO entry says 40x32" in report["failed"]["b.png"]
    left, odd = report["notes"]
    assert "1 labels without a box are left out" in left and "c.png: boxes reach outside" in odd
    assert "and 1 more like it" in odd and {left, odd} <= set(said)
    assert "c.png: boxes reach outside the picture" in (place / "out" / "index.html").read_text()


def turned(place):
    """A set whose pictures are turned by EXIF and whose labels were drawn as they lie."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return labelled(place, ["a.jpg", "b.jpg"], exif=exif)


def looked_at(place, photo=0, **changes):
    measurer = Measurer(command.planned(options(place, **changes), silent))
    return measurer.record(measurer.plan.data.photos[photo], None)


def test_pictures_turned_by_exif_are_said_or_left_as_they_lie(place):
    entries, labels = turned(place)
    with pytest.raises(SpecError, match=r"EXIF turns the photo, and its labels seem") as caught:
        looked_at(place)
    with click.Context(cli.commands["eval"]):
        assert helped(caught.value).endswith("; try --exif ignore")
    with pytest.raises(MetricError, match="EXIF turns the photo") as caught:
        ran(place / "out", options(place), silent)
    assert caught.value.hint == "turned"  # which came from a worker process
    raw = looked_at(place, reading=Reading(upright=False))
    (box,) = raw.original.boxes.tolist()
    assert np.abs(np.array(box) - [10, 20, 40, 36]).max() <= 1 and raw.said == []
    for entry in entries:
        del entry["height"], entry["width"]
    write_labels(place, entries, labels)  # without sizes there is nothing to compare
    (line,) = looked_at(place).said
    assert line.startswith(
        "turned by EXIF: its labels are assumed to be drawn on the upright picture"
    )
    labels[0]["bbox"] = [50, 20, 30, 16]  # beyond the 64 columns of the upright picture
    write_labels(place, entries, labels)
    assert any("boxes reach outside the picture" in line for line in looked_at(place).said)


def test_where_all_pictures_fail_the_reason_is_said_before_anything_is_coded(place):
    turned(place)
    with pytest.raises(MetricError, match=r"a.jpg.*EXIF turns.*the same for 2 of 2 pictures"):
        ran(place / "out", options(place), silent)
    reasons = {f"{i}.png": f"{i}.png: {i} is dark" for i in range(5)} | {"x.png": "broken"}
    assert "0.png: 0 is dark (the same for 5 of 6 pictures)" in str(nothing_measured(reasons))


def test_kinds_of_oddities_are_counted():
    said = (["dark: 3 of 9"], [], ["dark: 4 of 9", "cut"])
    rows = [SimpleNamespace(name=f"{i}", said=lines) for i, lines in enumerate(said)]
    assert oddities(rows) == ["0: dark: 3 of 9 (and 1 more like it)", "2: cut"]


def test_two_evaluations_of_one_folder_are_refused_at_once(place):
    labelled(place, ["a.png"])
    (place / "out").mkdir()
    with held(place / "out"), pytest.raises(OutputError, match="another command writes to"):
        ran(place / "out", options(place), silent)
    assert not list((place / "out").iterdir())


def test_a_cache_that_cannot_be_written_is_refused_before_any_work(place):
    labelled(place, ["a.png"])
    (place / "file").touch()
    with pytest.raises(OutputError, match="it is a file|Not a directory"):
        ran(place / "out", options(place, no_cache=False, cache=place / "file"), silent)
    assert not list((place / "out").iterdir())
    assert list(store.writable(place / "cache").iterdir()) == []


def test_wandb_without_an_account_is_refused_before_any_work(place, monkeypatch, wandb_offline):
    labelled(place, ["a.png"])
    for name, value in (("WANDB_MODE", "online"), ("NETRC", str(place / "none")),
                        ("HOME", str(place))):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(ModelError, match="wandb login"):
        ran(place / "out", options(place, wandb="project"), silent)
    assert not (place / "out" / "pictures").exists()


def unknown_user(monkeypatch):
    """No HOME, and no entry of this user in passwd."""
    import pwd

    def missing(number):
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", missing)


def test_without_a_home_folder_the_cache_has_to_be_named(place, monkeypatch):
    labelled(place, ["a.png"])
    unknown_user(monkeypatch)
    with pytest.raises(SpecError, match=r"no home folder .*") as caught:
        command.planned(options(place, no_cache=False), silent)
    with click.Context(cli.commands["eval"]):
        assert "with --cache or keep none with --no-cache" in helped(caught.value)
    for told in (options(place), options(place, no_cache=False, cache=place / "cache")):
        assert command.planned(told, silent).task.name == "text"
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "xdg"))
    assert store.default_folder() == place / "xdg" / "vcm" / "files"


def test_doctor_needs_no_home_folder(monkeypatch):
    from vcm.commands import doctor

    unknown_user(monkeypatch)
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert doctor._is_cached("CIDAS/clipseg-rd64-refined") is False


def test_pictures_of_12_bits_are_measured_as_they_are(place):
    entries, labels = labelled(place, ["a.png"])
    deep = np.zeros((64, 80), np.uint16)
    deep[20:36, 10:40] = 4095
    Image.fromarray(deep).save(place / "set" / "images" / "a.png")
    dark = looked_at(place)
    assert len(dark.original.boxes) == 0 and "no sample is over 4095" in dark.said[0]
    seen = looked_at(place, reading=Reading(bits=12))
    assert seen.original.boxes.tolist() == [[10, 20, 40, 36]] and seen.said == []


def test_the_command_takes_them_all(place, capsys):
    exif = Image.Exif()
    exif[0x0112] = 3
    labelled(place, ["a.png", "b.png", "c.jpg"], exif=exif)
    photos, deep = place / "photos", np.zeros((64, 80), np.uint16)
    (place / "set" / "images").rename(photos)
    deep[20:36, 10:40] = 4095
    Image.fromarray(deep).save(photos / "b.png")
    (photos / "c.jpg").write_bytes((photos / "c.jpg").read_bytes()[:-40])
    arguments = ["eval", "--text", "cat", "--model", f"{place / 'parts.py'}:White", "--data"]
    arguments += [str(place / "set"), "-o", str(place / "o"), "--no-cache", "--no-perceptual"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "--images" in capsys.readouterr().err
    more = ["--images", str(photos), "--exif", "ignore", "--bits", "12", "--strict"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *more, "--codecs", "jpeg:at=30/90", "--workers", "1"])
    report = json.loads((place / "o" / "results.json").read_text())
    assert list(report["failed"]) == ["c.jpg"] and "truncated" in report["failed"]["c.jpg"]
    # found where it was drawn: not in a picture that is turned, nor in one that is nearly black
    assert report["uncompressed"]["AP"]["value"] == pytest.approx(100)
    assert not any("no sample is over" in note for note in report["notes"])


def test_a_set_in_a_pipe_of_pictures_is_encoded(tmp_path, tiny_weights):
    """A photo that another program writes to standard output."""
    image.write(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
    shell = (
        f"cat a.png | {sys.executable} -m vcm encode /dev/stdin --weights {tiny_weights} -o b.vcm"
    )
    done = subprocess.run(shell, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(tmp_path / "b.vcm").stat().st_size > 30
