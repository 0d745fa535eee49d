"""The commands, as a person calls them, on real photos."""

import json
import logging
import subprocess
import sys
import tarfile
from typing import get_args

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from vcm import cli as cli_module
from vcm import container, image, pipeline, roi
from vcm.cli import cli
from vcm.commands import options, table
from vcm.metrics.distortion import psnr
from vcm.roi.mask import OnEmpty


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


def test_without_arguments_the_help_is_shown():
    done = subprocess.run([sys.executable, "-m", "vcm"], capture_output=True, text=True)
    text = done.stdout + done.stderr  # older versions of click print it to the former
    lines = text.split("Commands:\n")[1].splitlines()[: len(cli.commands)]
    listed = [line.split()[0] for line in lines]
    assert listed == [*cli.commands]
    assert listed[:4] == ["encode", "watch", "decode", "info"]  # what people need comes first
    assert not any(line.endswith("...") for line in lines)  # each fits


def test_choices_are_those_of_the_library():
    """They are written twice: the command line does not wait for the library to show its help."""
    assert tuple(roi.BACKENDS) == options.BACKENDS
    assert get_args(OnEmpty) == options.ON_EMPTY


@pytest.mark.parametrize("name", cli.commands)
def test_every_option_is_explained(name):
    text = CliRunner().invoke(cli, [name, "--help"]).output
    assert text.startswith(f"Usage: vcm {name}")
    options = [p for p in cli.commands[name].params if isinstance(p, click.Option)]
    assert options or name == "completion"
    assert all(len(option.help) > 10 for option in options)


def test_info_loads_no_heavy_library(folder, run):
    run("encode", "cat.png", "--quality", 10, "-o", "cat.vcm")
    code = (
        "import sys; from vcm.cli import cli; cli(['info', 'cat.vcm', '--json'],"
        " standalone_mode=False); print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    report, heavy = done.stdout.splitlines()
    assert heavy == "[]" and json.loads(report)["sections"].keys() == {"z", "y"}


def test_the_built_in_model_that_made_a_file_is_named(
    folder, run, tiny_weights, tmp_path, monkeypatch
):
    run("encode", "cat.png", "--quality", 10, "-o", "cat.vcm")
    assert json.loads(run("info", "cat.vcm", "--json"))["model"] is None
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "codec-toy.safetensors").symlink_to(tiny_weights)
    (tmp_path / "built" / "codec-bad.safetensors").write_bytes(b"[" * 5000)
    told = CliRunner().invoke(cli, ["decode", "cat.vcm", "-o", "a.png"])
    assert told.exit_code == 2 and "which is not built in; name its weights" in told.stderr
    monkeypatch.setattr("vcm.weightfile.BUILT_IN", tmp_path / "built")
    assert "model        toy" in run("info", "cat.vcm")
    assert CliRunner().invoke(cli, ["decode", "cat.vcm", "-o", "a.png"]).exit_code == 0


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
        "import atexit, sys; from vcm.cli import main;"
        "heavy = ('timm', 'transformers', 'ultralytics', 'compressai', 'torchvision', 'wandb',"
        " 'matplotlib', 'scipy');"
        "atexit.register(lambda: print([m for m in heavy if m in sys.modules]));"
        f"main(['decode', 'cat.vcm', '-o', 'out.png', '--weights', {str(tiny_weights)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and done.stderr == ""
    expected = pipeline.decode((folder / "cat.vcm").read_bytes(), tiny)
    assert np.array_equal(image.read(folder / "out.png"), expected)


def test_a_task_gives_the_words(folder, run):
    report = json.loads(run("encode", "cat.png", "--task", "coco-animals", "-o", "a.vcm", "--json"))
    assert "cat" in report["roi"]
    assert 0.3 < report["roi_share"] < 0.95
    assert container.unpack((folder / "a.vcm").read_bytes()).text is None
    other = json.loads(
        run("encode", "cat.png", "--task", "coco-animals", "--sigma", 0.5, "-o", "b.vcm", "--json")
    )
    assert other["sigma"] == 0.5 != report["sigma"]


def test_a_task_file_of_ones_own(folder, run):
    task = 'name = "pets"\nversion = 1\ndescription = "pets"\nphrases = ["cat", "dog"]\ntau = 0.5\n'
    (folder / "pets.toml").write_text(task)
    report = json.loads(run("encode", "cat.png", "--task", "pets.toml", "-o", "a.vcm", "--json"))
    assert report["roi"].startswith("cat, dog (embedded, tau 0.5)")


@pytest.mark.parametrize(("choice", "share"), [("whole", 1), ("background", 0)])
def test_nothing_found(choice, share, folder, run):
    arguments = ("cat.png", "--text", "airplane", "--on-empty", choice, "-o", "a.vcm", "--json")
    report = json.loads(run("encode", *arguments))
    assert report["roi_share"] == share and "nothing found" in report["roi"]


def test_the_words_are_stored_when_asked(folder, run):
    run("encode", "cat.png", "--text", "cat, dog", "--store-text", "-o", "cat.vcm")
    assert container.unpack((folder / "cat.vcm").read_bytes()).text == "cat, dog"
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
    assert not np.isclose(sheet[12:652, 12:652], sheet[12:652, 664:1304], atol=30).all()
    run("roi", "person.png", "--box", "9,9,50,50", "--box", "100,9,50,50", "-o", "boxes.png")
    boxes = image.read(folder / "boxes.png")
    assert 1200 < boxes.shape[1] < 1400  # outline, mask
    assert (boxes[12:652, 664:1304] > 250).all(2).mean() == pytest.approx(5000 / 288**2, rel=0.05)


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
    run("encode", "cup.png", "-o", "out", "--weights", "base", "--quality", 1, "--overwrite")
    third = json.loads(run("encode", ".", "-o", "out", "--quality", 10, "--json"))
    assert [f["file"] for f in third["files"]] == ["out/cup.vcm"]  # not of this model
    run("decode", "out", "-o", "pictures")
    assert sorted(p.name for p in (folder / "pictures").iterdir()) == [
        "cat.png",
        "cup.png",
        "person.png",
    ]
    (folder / "pictures" / "cat.png").write_bytes(b"a picture of mine")
    assert json.loads(run("decode", "out", "-o", "pictures", "--json"))["done_before"] == 3
    assert (folder / "pictures" / "cat.png").read_bytes() == b"a picture of mine"
    run("decode", "out", "-o", "pictures", "--overwrite")
    assert image.read(folder / "pictures" / "cat.png").shape == (300, 451, 3)


def test_a_folder_as_output_takes_the_name_of_the_source(folder, run):
    (folder / "out").mkdir()
    run("encode", "cat.png", "--quality", 5, "-o", "out")
    run("decode", "out/cat.vcm", "-o", "out")
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["cat.png", "cat.vcm"]


def test_what_a_set_of_many_folders_became_is_decoded(folder, run):
    (folder / "deep" / "er").mkdir(parents=True)
    run("encode", "cat.png", "--quality", 5, "-o", "deep/er/a.vcm")
    run("encode", "cup.png", "--quality", 5, "-o", "deep/a.vcm")
    run("decode", "deep", "-o", "pictures")
    found = [p.relative_to(folder / "pictures").as_posix() for p in folder.rglob("pictures/**/*")]
    assert sorted(found) == ["a.png", "er", "er/a.png"]


def test_photos_without_the_words_are_counted(folder, run):
    lines = run("encode", ".", "-o", "out", "--quality", 5, "--text", "cup, red person")
    assert "the words matched nothing in 1 of the pictures done" in lines


def test_the_report_does_not_mix_with_a_file_on_standard_output(capsys):
    table.finish({"file": "/dev/stdout", "bytes": 7}, True, lambda _: [])
    out, err = capsys.readouterr()
    assert out == "" and json.loads(err)["bytes"] == 7


def test_one_bad_picture_stops_no_folder(folder, tiny_weights):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    arguments = ["encode", ".", "-o", "out", "--json", "--weights", str(tiny_weights)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert len(report["files"]) == 3 and list(report["failed"]) == ["broken.png"]


@pytest.mark.parametrize("way", [(), ("--workers", "1")])
def test_what_was_odd_is_counted_and_named_at_the_end(folder, run, way):
    image.write(folder / "cut.jpg", image.read("cat.png"))
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-400])
    (folder / "phone.heic").touch()
    (folder / "gone.png").symlink_to("nowhere.png")
    report = json.loads(run("encode", ".", "-o", "out", "--json", *way))
    assert report["left_out"] == ["gone.png", "phone.heic"] and report["odd"] == 1
    (line,) = report["said"].values()
    assert "the JPEG is truncated" in line and (folder / "out" / "cut.vcm").is_file()
    lines = run("encode", ".", "-o", "again", *way)
    assert "1 read despite problems:\n  " in lines and "cut.jpg: the JPEG is truncated" in lines
    assert "left out (broken link or unsupported format): 2: gone.png" in lines


@pytest.mark.parametrize("way", [(), ("--workers", "1")])
def test_decoding_names_what_it_leaves_out(folder, run, way):
    (folder / "files").mkdir()
    run("encode", "cat.png", "-o", "files/cat.vcm")
    (folder / "files" / "OLD.VCM").write_bytes((folder / "files" / "cat.vcm").read_bytes())
    report = json.loads(run("decode", "files", "-o", "out", "--json", *way))
    assert report["left_out"] == [] and (folder / "out" / "OLD.png").is_file()
    with tarfile.open("in.tar", "w") as shard:
        shard.add("files/cat.vcm", "cat.vcm")
        (folder / "link.vcm").symlink_to("cat.vcm")
        shard.add("link.vcm")
    report = json.loads(run("decode", "in.tar", "-o", "again", "--json", *way))
    assert report["left_out"] == ["in.tar/link.vcm"] and report["done"] == 1


def test_an_roi_is_shown_in_the_picture_that_would_be_coded(folder, run, tiny_weights):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open("cat.png").save("turned.jpg", exif=exif)
    deep = np.full((40, 60, 3), 4095, np.uint16)
    (folder / "deep.png").write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    box = ("--box", "0,0,30,30", "-o", "sheet.png", "--save-mask", "m.png")
    height, width = image.read("cat.png").shape[:2]
    run("roi", "turned.jpg", *box)
    assert image.read("m.png").shape[:2] == (width, height)
    run("roi", "turned.jpg", *box, "--exif", "ignore")
    assert image.read("m.png").shape[:2] == (height, width)
    shown = {}
    for bits in (12, 16):
        run("roi", "deep.png", *box, "--bits", bits)
        shown[bits] = image.read("sheet.png").mean()
    assert shown[12] > shown[16] + 20  # white, and nearly black
    (folder / "cut.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:-400])
    refused = CliRunner().invoke(cli, ["roi", "cut.jpg", *box, "--strict"])
    assert refused.exit_code == 2 and "truncated" in refused.stderr


def test_strict_refuses_a_jpeg_that_is_cut_off(folder, tiny_weights):
    image.write(folder / "cut.jpg", image.read("cat.png"))
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-400])
    arguments = ["encode", "cut.jpg", "-o", "cut.vcm", "--weights", str(tiny_weights)]
    refused = CliRunner().invoke(cli, [*arguments, "--strict"])
    assert refused.exit_code == 2 and "truncated" in refused.output
    assert CliRunner().invoke(cli, arguments).exit_code == 0


def test_nothing_found_is_said_and_json_stays_json(folder, tiny_weights, capsys):
    logger = logging.getLogger("vcm")
    arguments = ["encode", "cat.png", "--text", "airplane", "-o", "cat.vcm", "--json"]
    with pytest.raises(SystemExit) as ended:
        cli_module.main([*arguments, "--weights", str(tiny_weights)])
    logger.handlers.clear()
    logger.propagate = True
    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert json.loads(out)["roi_share"] == 1
    assert "airplane" in err and "evenly" in err
    assert len(err.strip().splitlines()) == 1 and err.startswith("vcm: found")


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 1000)])
def test_odd_sizes_round_trip(size, cat, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    photo = np.tile(cat, (1, 3, 1))[: size[0], : size[1]]
    image.write(tmp_path / "a.png", photo)
    run("encode", "a.png", "--box", "0,0,1,1", "-o", "a.vcm")
    run("decode", "a.vcm", "-o", "b.png")
    assert image.read(tmp_path / "b.png").shape == photo.shape


def test_pictures_of_every_kind_are_coded(tmp_path, monkeypatch, run, cat):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    cv2.imwrite("deep.png", cat[..., ::-1].astype(np.uint16) * 257)
    pictures = {"RGBA": "rgba.png", "L": "grey.png", "CMYK": "cmyk.tif", "P": "palette.png"}
    for mode, name in pictures.items():
        Image.fromarray(cat).convert(mode).save(name)
    for name in ("deep.png", *pictures.values()):
        run("encode", name, "-o", "a.vcm", "--overwrite", "--weights", "base", "--quality", 90)
        run("decode", "a.vcm", "-o", "a.png", "--weights", "base")
        least = 22 if name == "palette.png" else 30  # dithered
        assert psnr(image.read(tmp_path / name), image.read(tmp_path / "a.png")) > least, name
