"""Whatever goes wrong: one line that says what to do, exit code 2, and nothing lost."""

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from vcm import container, image
from vcm.cli import cli
from vcm.commands.group import Group
from vcm.errors import BitstreamError, ModelError
from vcm.pipeline import decode, encode
from vcm.roi.mask import RoiMask


@pytest.fixture
def folder(tmp_path, cat, monkeypatch, tiny):
    """A folder with a picture, its file, and an old result; the current one."""
    monkeypatch.chdir(tmp_path)
    image.write(tmp_path / "cat.png", cat)
    even = RoiMask(np.ones(cat.shape[:2], np.bool_), 1.0, "test")
    (tmp_path / "cat.vcm").write_bytes(encode(cat, even, tiny, quality=30))
    (tmp_path / "old.vcm").write_bytes(b"an old result")
    (tmp_path / "old.png").write_bytes(b"an old picture")
    return tmp_path


@pytest.fixture
def fails(folder, tiny_weights):
    """Runs a command that must fail well; its message."""

    def call(*arguments):
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        if arguments[0] in ("encode", "decode") and "--weights" not in arguments:
            arguments += ("--weights", str(tiny_weights))
        result = CliRunner().invoke(cli, [str(a) for a in arguments])
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        message = result.stderr.removeprefix("2 files\n").strip()  # of a folder's progress
        assert message.startswith("vcm: ") and len(message.splitlines()) == 1, message
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
        return message

    return call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text", "person", "--box", "0,0,9,9"], "--text and --box"),
        (["--text", "zeppelin"], "clipseg"),
        (["--text", "persn"], "person"),
        (["--text", " , "], "expected"),
        (["--text", "airplane", "--on-empty", "error"], "airplane"),
        (["--task", "coco-persn"], "coco-person"),
        (["--sigma", "0", "--text", "cat"], "sigma"),
        (["--sigma", "1.5", "--box", "0,0,9,9"], "sigma"),
        (["--sigma", "nan", "--box", "0,0,9,9"], "sigma"),
        (["--tau", "2", "--text", "cat"], "tau"),
        (["--dilation", "-1", "--text", "cat"], "dilation"),
        (["--quality", "101"], "quality"),
        (["--quality", "nan"], "quality"),
        (["--quality", "50", "--bpp", "1"], "--quality and --bpp"),
        (["--bpp", "0"], "--bpp"),
        (["--bpp", "1e308"], "--bpp"),
        (["--bpp", "nan"], "--bpp"),
        (["--bytes", "10"], "out of reach; --quality 0 and 100 give"),
        (["--bytes", "99999999999999999999"], "--bytes"),
        (["--quality", "abc"], "vcm encode --help"),
        (["--such"], "vcm encode --help"),
        (["--sigma", "0.2"], "--text, --task, --mask or --box"),
        (["--tau", "0.5", "--box", "0,0,9,9"], "--tau goes with --text"),
        (["--dilation", "5", "--mask", "small.png"], "--dilation goes with --text"),
        (["--roi-weights", "x", "--box", "0,0,9,9"], "--roi-weights goes with --text"),
        (["--roi-backend", "clipseg", "--box", "0,0,9,9"], "--roi-backend goes with --text"),
        (["--on-empty", "error", "--box", "0,0,9,9"], "--on-empty goes with --text, --task or"),
        (["--mask", "black.png", "--on-empty", "error"], "mask black.png selects nothing"),
        (["--store-text", "--box", "0,0,9,9"], "--store-text"),
        (["--text", "person", "--mask", "small.png"], "--text and --mask"),
        (["--task", "bad.toml"], "phrase"),
        (["--task", "nowhere.toml"], "nowhere.toml"),
        (["--text", "cat", "--roi-weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--box", "0,0,9"], "x,y,width,height"),
        (["--box", "900,0,9,9"], "box"),
        (["--mask", "nowhere.png"], "nowhere.png"),
        (["--mask", "small.png"], "451"),
        (["--effort", "99999"], "--effort"),
        (["--text", "person, " + 2000 * "cat ", "--store-text"], "4096 bytes"),
        (["--weights", "nobody"], "base"),
        (["--weights", "cat.png"], "cat.png"),
    ],
)
def test_options_that_cannot_be(arguments, words, folder, fails):
    image.write(folder / "small.png", np.zeros((20, 20, 3), np.uint8))
    image.write(folder / "black.png", np.zeros((300, 451, 3), np.uint8))
    (folder / "bad.toml").write_text('name = "bad"\nversion = 1\nphrase = ["cat"]\n')
    assert words in fails("encode", "cat.png", "-o", "old.vcm", *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "cat.png", "-o", "cat.png"], "ends in .vcm"),
        (["encode", "cat.png", "-o", "other.avif"], "ends in .vcm"),
        (["encode", "cat.png", "-o", "OUT/"], "a folder that is there"),
        (["encode", "cat.png", "-o", "."], "cat.vcm' exists already"),
        (["decode", "cat.vcm", "-o", "."], "cat.png"),
        (["roi", "cat.png", "--box", "0,0,9,9", "-o", "link.png"], "used twice"),
        (["roi", "cat.png", "--mask", "m.png", "-o", "m.png"], "used twice"),
        (["roi", "cat.png", "--box", "0,0,9,9", "-o", "a.png", "--save-mask", "a.png"], "twice"),
    ],
)
def test_what_a_result_is_made_from_stays(arguments, words, folder, fails):
    (folder / "link.png").symlink_to(folder / "cat.png")
    image.write(folder / "m.png", np.zeros((300, 451), np.uint8))
    assert words in fails(*arguments)


@pytest.mark.parametrize(
    "work",
    [lambda: np.empty(2**60, np.uint8), lambda: torch.empty(2**60, dtype=torch.uint8)],
    ids=["numpy", "torch"],
)
def test_too_little_memory(work):
    group = Group("vcm", commands=[click.Command("work", callback=work)])
    result = CliRunner().invoke(group, ["work"])
    assert result.exit_code == 2 and result.stderr.startswith("vcm: not enough memory; ")


def test_our_own_bugs_keep_their_traceback():
    def work():
        raise RuntimeError("a bug")

    group = Group("vcm", commands=[click.Command("work", callback=work)])
    assert isinstance(CliRunner().invoke(group, ["work"]).exception, RuntimeError)


def test_the_words_command(fails):
    assert "no ROI" in fails("roi", "cat.png", "-o", "a.png")
    assert "a.txt" in fails("roi", "cat.png", "--text", "cat", "-o", "a.txt")
    assert "zeppelin" in fails("roi", "cat.png", "--text", "zeppelin", "-o", "a.png")


def test_commands_and_arguments_that_are_none(fails):
    assert "vcm --help" in fails("encod")
    assert "vcm --help" in fails("--such")
    assert "--output" in fails("encode", "cat.png")
    assert "a folder" in fails("info", ".")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--config", "nowhere.toml"], "nowhere.toml"),
        (["train-roi", "--config", "nowhere.toml"], "nowhere.toml"),
        (["release", "nowhere.ckpt", "-o", "x.safetensors"], "nowhere.ckpt"),
        (["demo", "-o", "cat.png"], "it is a file"),
        (["bench", "nowhere.png"], "nowhere.png"),
        (["bench", "cat.png", "--codec", "vmc"], "vcm with TMA"),
        (["bench", "cat.png", "--megapixels", "nan"], "--megapixels"),
    ],
)
def test_other_commands(arguments, words, fails):
    assert words in fails(*arguments)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.png", "nowhere.png"),
        ("old.vcm", "picture"),
        ("empty", "no picture"),
        ("cut.png", "cut.png"),
    ],
)
def test_pictures_that_are_none(source, words, folder, fails):
    (folder / "empty").mkdir()
    (folder / "cut.png").write_bytes((folder / "cat.png").read_bytes()[:5000])
    assert words in fails("encode", source, "-o", "x.vcm")


def test_places_that_take_no_file(folder, fails):
    assert "no/such" in fails("encode", "cat.png", "-o", "no/such/cat.vcm")
    assert "/proc" in fails("encode", "cat.png", "-o", "/proc/cat.vcm")
    assert "full" in fails("encode", "cat.png", "-o", "/dev/full")
    assert "cat.txt" in fails("decode", "cat.vcm", "-o", "cat.txt")
    (folder / "file").write_bytes(b"")
    (folder / "photos").mkdir()
    for name in ("a.png", "b.png"):
        image.write(folder / "photos" / name, np.zeros((9, 9, 3), np.uint8))
    assert "it is a file" in fails("encode", "photos", "-o", "file")
    assert "Not a directory" in fails("encode", "photos", "-o", "file/deeper")
    assert "/proc" in fails("encode", "photos", "-o", "/proc")
    assert "too long" in fails("encode", "cat.png", "-o", 300 * "a" + ".vcm")
    assert "too long" in fails("encode", 300 * "a" + ".png", "-o", "x.vcm")
    (folder / "photos" / "a.jpg").write_bytes(b"")
    assert "a.jpg and a.png" in fails("encode", "photos", "-o", "out")


def test_an_unknown_word_stops_a_folder_at_once(folder, fails):
    (folder / "photos").mkdir()
    for name in ("a.png", "b.png"):
        image.write(folder / "photos" / name, np.zeros((9, 9, 3), np.uint8))
    assert "zeppelin" in fails("encode", "photos", "-o", "out", "--text", "zeppelin")


def test_files_that_cannot_be_decoded(folder, fails):
    whole = (folder / "cat.vcm").read_bytes()
    bad = {
        "truncated": (whole[:-3], "truncated"),
        "appended": (whole + b"x", "appended"),
        "newer": (whole[:4] + b"\x09" + whole[5:], "newer"),
        "flipped": (whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:], "damaged"),
        "empty": (b"", "empty"),
        "jpeg": (b"\xff\xd8\xff\xe0" + whole, "JPEG"),
    }
    for name, (data, words) in bad.items():
        (folder / f"{name}.vcm").write_bytes(data)
        for command in (("decode", f"{name}.vcm", "-o", "old.png"), ("info", f"{name}.vcm")):
            assert words in fails(*command), name
    assert "nowhere.vcm" in fails("decode", "nowhere.vcm", "-o", "old.png")
    (folder / "photos").mkdir()
    assert "no .vcm file" in fails("decode", "photos", "-o", "out")


def test_a_file_of_another_model_says_so(folder, fails):
    message = fails("decode", "cat.vcm", "-o", "old.png", "--weights", "base")
    assert container.unpack((folder / "cat.vcm").read_bytes()).header.fingerprint.hex() in message
    assert "name its weights" in message


def test_a_file_of_another_built_in_model_names_it(folder, fails, cat, base):
    photo = np.ascontiguousarray(cat[:40, :50])
    even = RoiMask(np.ones((40, 50), np.bool_), 1.0, "test")
    (folder / "base.vcm").write_bytes(encode(photo, even, base, quality=20))
    message = fails("decode", "base.vcm", "-o", "old.png")
    assert "(base)" in message and "name its weights with --weights" in message


@pytest.fixture(scope="module")
def small(cat, tiny):
    """The file of a small picture."""
    even = RoiMask(np.ones((40, 50), np.bool_), 1.0, "test")
    return encode(np.ascontiguousarray(cat[:40, :50]), even, tiny, quality=20)


@given(data=st.data())
def test_any_changed_byte_is_noticed(data, small, tiny):
    whole = bytearray(small)
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((BitstreamError, ModelError)):
        decode(bytes(whole), tiny)
