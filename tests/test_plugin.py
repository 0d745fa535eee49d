"""Classes of the caller's own: found by FILE.py:NAME, and clear errors where they are not."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from vcm import image, plugin
from vcm.cli import cli
from vcm.errors import SpecError, UnknownWord
from vcm.evaluate.codecs import build
from vcm.models import load_model
from vcm.roi import backend_for, load_backend
from vcm.roi.mask import RoiMask
from vcm.task import find_task

CODE = """
import numpy as np
from vcm.errors import UnknownWord

class Part:
    name, settings, tau, growth, kind, names = "part", (1, 2), 0.5, 1.0, "boxes", ("thing",)
    def __init__(self, weights="none"):
        self.weights = weights
    def similarity(self, image, phrases):
        return np.zeros((len(phrases), *image.shape[:2]), np.float32)
    def encode(self, image, setting):
        return image[::setting, ::setting].tobytes()
    def decode(self, data, height, width):
        return np.zeros((height, width, 3), np.uint8)

class Refusing:
    def __init__(self):
        raise UnknownWord("no")

made = Part("made")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def test_a_class_is_called_and_an_object_is_taken(file: Path) -> None:
    assert plugin.is_plugin(f"{file}:Part") and not plugin.is_plugin("yolo:yolo11n.pt")
    assert plugin.file_of(f"{file}:Part") == file
    assert plugin.load(f"{file}:Part").weights == "none"
    assert plugin.load(f"{file}:Part", weights="w").weights == "w"
    assert plugin.load(f"{file}:made").weights == "made"


def test_models_backends_and_codecs_may_be_ones_own(file: Path) -> None:
    assert load_model(f"{file}:Part").names == ("thing",)
    assert load_backend(f"{file}:Part").tau == 0.5
    task = find_task("coco-person")
    assert backend_for(task, f"{file}:Part", "theirs").weights == "theirs"  # type: ignore[attr-defined]
    picture = np.zeros((20, 30, 3), np.uint8)
    codec = build(f"{file}:Part:at=2/1", 0.1, "base")
    assert (codec.name, codec.settings, codec.uses_roi) == ("part", (2, 1), False)
    assert len(codec.encode(picture, RoiMask(picture[..., 0] > 0, 0.1, "red"), 2)) == 450
    flat = build(f"{file}:Part+flat", 0.1, "base")
    assert flat.uses_roi and flat.key != codec.key
    file.write_text(CODE + "\n")
    file.touch()
    assert build(f"{file}:Part", 0.1, "base").key != codec.key


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("mine.py:Absent", CODE, "no attribute 'Absent'"),
        ("other.py:Part", CODE, "there is no file"),
        ("mine.py:Part", "class Part(", "SyntaxError"),
        ("mine.py:json", "json = 1", "expected name, tau, growth, similarity; name, tau, growth, "),
        ("mine.py:Part", "import nothing_of_this_name", "nothing_of_this_name"),
        ("mine.py:Part", "class Part:\n    def __init__(self): 1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_fails_is_a_typed_error(name: str, code: str, message: str, file: Path) -> None:
    file.write_text(code)
    with pytest.raises(SpecError, match=message):
        load_backend(str(file.parent / name))


def test_a_dataclass_finds_its_module(file: Path) -> None:
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    file.write_text(head + "@dataclass\nclass Part:\n    name: str = 'x'\n")
    assert plugin.load(f"{file}:Part", ("name",), name="y").name == "y"


def test_its_own_typed_errors_stay_as_they_are(file: Path) -> None:
    with pytest.raises(UnknownWord, match="^no$"):
        plugin.load(f"{file}:Refusing")


@pytest.mark.parametrize(("command", "target"), [("encode", "b.vcm"), ("roi", "b.png")])
def test_the_command_line_takes_it_where_it_takes_a_backend(
    command: str, target: str, file: Path, cat: NDArray[np.uint8], tmp_path: Path
) -> None:
    image.write(tmp_path / "a.png", cat)
    paths = [str(tmp_path / "a.png"), "-o", str(tmp_path / target)]
    arguments = [command, *paths, "--text", "x", "--roi-backend"]
    found = CliRunner().invoke(cli, [*arguments, f"{file}:Refusing"])
    assert (found.exit_code, found.output) == (2, "vcm: no\n")
    found = CliRunner().invoke(cli, [*arguments, "mine:Part"])
    assert found.exit_code == 2 and "'mine:Part' is not one of" in found.output
