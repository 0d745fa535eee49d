"""The commands, as a person calls them, on real photos."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from vcm import bitstream, image, pipeline
from vcm.cli import cli
from vcm.metrics.distortion import psnr


@pytest.fixture(autouse=True)
def _logging():
    """Handlers that a command set up are taken off again."""
    before = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = before


@pytest.fixture
def folder(tmp_path, photos, monkeypatch):
    """A folder with cat.png, person.png and cup.png, the current one."""
    for name, photo in photos.items():
        image.write(tmp_path / f"{name}.png", photo)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(tiny_weights):
    """Runs a command that must succeed; its standard output. The toy codec unless told."""

    def call(*arguments):
        if arguments[0] in ("encode", "decode") and "--weights" not in arguments:
            arguments += ("--weights", str(tiny_weights))
        result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_help_shows_every_command_and_its_use():
    result = CliRunner().invoke(cli, [])
    names = ("encode", "decode", "info", "roi", "demo", "train", "train-roi", "release")
    for name in names:
        assert name in result.output
        text = CliRunner().invoke(cli, [name, "--help"]).output
        assert len(text.splitlines()) > 5 and "Usage" in text


def test_words_to_file_to_picture(folder, run, tiny):
    run("encode", "cat.png", "--text", "cat", "--sigma", 0.2, "--quality", 60, "-o", "cat.vcm")
    info = json.loads(run("info", "cat.vcm", "--json"))
    assert (info["width"], info["height"], info["quality"]) == (451, 300, 60)
    assert info["bytes"] == (folder / "cat.vcm").stat().st_size
    run("decode", "cat.vcm", "-o", "cat.out.png")
    expected = pipeline.decode((folder / "cat.vcm").read_bytes(), tiny)
    assert np.array_equal(image.read(folder / "cat.out.png"), expected)


def test_a_fresh_process_decodes_alike_and_loads_no_language_model(folder, run, tiny, tiny_weights):
    run("encode", "cat.png", "--box", "10,20,200,100", "-o", "cat.vcm")
    code = (
        "import sys; from vcm.cli import cli;"
        f"cli(['decode', 'cat.vcm', '-o', 'out.png', '--weights', {str(tiny_weights)!r}],"
        " standalone_mode=False);"
        "print([m for m in ('timm', 'transformers', 'ultralytics', 'compressai', 'torchvision',"
        " 'wandb', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    expected = pipeline.decode((folder / "cat.vcm").read_bytes(), tiny)
    assert np.array_equal(image.read(folder / "out.png"), expected)


def test_a_task_gives_the_words(folder, run):
    report = json.loads(run("encode", "cat.png", "--task", "coco-animals", "-o", "a.vcm", "--json"))
    assert "cat" in report["roi"]
    assert 0.3 < report["roi_share"] < 0.95
    assert bitstream.unpack((folder / "a.vcm").read_bytes()).text is None
    other = json.loads(
        run("encode", "cat.png", "--task", "coco-animals", "--sigma", 0.5, "-o", "b.vcm", "--json")
    )
    assert other["sigma"] == 0.5 != report["sigma"]


def test_the_words_are_stored_when_asked(folder, run):
    run("encode", "cat.png", "--text", "cat, dog", "--store-text", "-o", "cat.vcm")
    assert bitstream.unpack((folder / "cat.vcm").read_bytes()).text == "cat, dog"
    assert "cat, dog" in run("info", "cat.vcm")


def test_masks_by_hand(folder, run):
    run("roi", "cat.png", "--box", "30,40,100,80", "-o", "sheet.png", "--save-mask", "m.png")
    mask = image.read(folder / "m.png")
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[40:120, 30:130] == 255).all() and (mask == 255).sum() == 3 * 80 * 100
    run("encode", "cat.png", "--box", "30,40,100,80", "-o", "box.vcm")
    run("encode", "cat.png", "--mask", "m.png", "-o", "mask.vcm")
    assert (folder / "box.vcm").read_bytes() == (folder / "mask.vcm").read_bytes()


def test_an_roi_saves_bytes(folder, run):
    run("encode", "cat.png", "-o", "even.vcm", "--weights", "base")
    run("encode", "cat.png", "--box", "30,40,100,80", "-o", "box.vcm", "--weights", "base")
    assert (folder / "box.vcm").stat().st_size < 0.7 * (folder / "even.vcm").stat().st_size


def test_what_the_words_select_is_shown(folder, run):
    text = run("roi", "person.png", "--text", "person", "-o", "sheet.png")
    assert "person" in text and "share" in text
    sheet = image.read(folder / "sheet.png")
    assert sheet.shape[1] > 1800  # outline, similarity, mask


@pytest.mark.parametrize(("option", "value"), [("--bytes", 9_000), ("--bpp", 0.6)])
def test_a_size_is_hit(option, value, folder, run):
    arguments = ("cat.png", option, value, "-o", "c.vcm", "--json", "--weights", "base")
    size = json.loads(run("encode", *arguments))["bytes"]
    wanted = value if option == "--bytes" else value * 300 * 451 / 8
    assert abs(size - wanted) <= 0.03 * wanted
    assert (folder / "c.vcm").stat().st_size == size


def test_folders_resume(folder, run):
    first = json.loads(run("encode", ".", "-o", "out", "--quality", 10, "--json"))
    assert len(first["files"]) == 3 and not first["failed"]
    (folder / "out" / "cup.vcm").write_bytes((folder / "out" / "cup.vcm").read_bytes()[:-1])
    second = json.loads(run("encode", ".", "-o", "out", "--quality", 10, "--json"))
    assert second["done_before"] == 2
    assert [f["file"] for f in second["files"]] == ["out/cup.vcm"]
    assert len(json.loads(run("encode", ".", "-o", "out", "--overwrite", "--json"))["files"]) == 3
    run("decode", "out", "-o", "pictures")
    assert sorted(p.name for p in (folder / "pictures").iterdir()) == [
        "cat.png",
        "cup.png",
        "person.png",
    ]


def test_one_bad_picture_stops_no_folder(folder, tiny_weights):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    arguments = ["encode", ".", "-o", "out", "--json", "--weights", str(tiny_weights)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert len(report["files"]) == 3 and list(report["failed"]) == ["broken.png"]


def test_nothing_found_is_said_and_json_stays_json(folder, tiny_weights):
    command = [sys.executable, "-m", "vcm", "encode", "cat.png", "--text", "airplane"]
    command += ["-o", "cat.vcm", "--json", "--weights", str(tiny_weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["roi_share"] == 1
    assert "airplane" in done.stderr and "evenly" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 1000)])
def test_odd_sizes_round_trip(size, cat, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    photo = np.tile(cat, (1, 3, 1))[: size[0], : size[1]]
    image.write(tmp_path / "a.png", photo)
    run("encode", "a.png", "--box", "0,0,1,1", "-o", "a.vcm")
    run("decode", "a.vcm", "-o", "b.png")
    assert image.read(tmp_path / "b.png").shape == photo.shape


def test_pictures_of_every_kind_are_coded(tmp_path, monkeypatch, run, cat):
    import cv2
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    cv2.imwrite("deep.png", cat[..., ::-1].astype(np.uint16) * 257)
    pictures = {"RGBA": "rgba.png", "L": "grey.png", "CMYK": "cmyk.tif", "P": "palette.png"}
    for mode, name in pictures.items():
        Image.fromarray(cat).convert(mode).save(name)
    for name in ("deep.png", *pictures.values()):
        run("encode", name, "-o", "a.vcm", "--overwrite")
        run("decode", "a.vcm", "-o", "a.png")
        assert psnr(image.read(tmp_path / name), image.read(tmp_path / "a.png")) > 5
