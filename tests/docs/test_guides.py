"""Every command of the guides is run, in its order, in a folder with stand-ins for data and models.

A comment before a block says what a test cannot do as it stands: `<!-- not run: REASON -->`, or
`<!-- run instead, WHY: COMMAND -->` for the same command with less work. Blocks with a title are
files that the reader writes.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
GUIDES = sorted((REPOSITORY / "docs" / "pages" / "guides").glob("*.md"))
BLOCK = re.compile(
    r'^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SHELL = ("bash", "console")
# name in a guide -> module that its commands need, where a stand-in or an extra decides
NEEDS = {"yolo": "ultralytics", "vcm eval": "pycocotools", "PicoDet": "onnxruntime", "--ray": "ray",
         "shared/data/video": "av", ":gop=": "motmetrics"}  # fmt: skip
PHOTOS = 30  # of the training set: 24 are held out


class Block(NamedTuple):
    """A fenced block of a guide.

    Attributes:
        title: file that it is, or None.
        text: as printed.
        command: what the test runs of it, "" for nothing.
    """

    title: str | None
    text: str
    command: str


def blocks(guide: Path) -> Iterator[Block]:
    """The files and commands of a guide, in order."""
    for found in BLOCK.finditer(guide.read_text(encoding="utf-8")):
        mark, text, title = found["mark"] or "", found["text"], found["title"]
        if title is not None:
            yield Block(title, text, "")
        elif found["language"] in SHELL:
            kind, colon, rest = mark.partition(": ")
            assert not mark or (colon and rest), f"{guide.name}: {mark!r} gives no reason"
            assert not mark or kind == "not run" or kind.startswith("run instead, "), mark
            yield Block(None, text, text if not mark else rest if kind != "not run" else "")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a checkout, with a photo, a folder of photos, and `shared` beside it."""
    data = pytest.importorskip("skimage.data", reason="needs: pip install 'vcm[demo]'")
    from vcm import image

    folder = tmp_path_factory.mktemp("guides") / "checkout"
    (folder / "PHOTOS").mkdir(parents=True)
    image.write(folder / "photo.jpg", data.astronaut())
    image.write(folder / "PHOTOS" / "person.png", data.astronaut()[:288, 64:352])
    image.write(folder / "PHOTOS" / "cat.png", data.chelsea())
    (folder / "configs").symlink_to(REPOSITORY / "configs")
    shutil.copytree(REPOSITORY / "experiments", folder / "experiments")  # it is written to
    (folder / "docs").mkdir()
    return folder


@pytest.fixture(scope="module")
def data(checkout: Path, shared: Path) -> Path:
    """`shared` beside the checkout: the evaluation data and models, few of the training photos."""
    place = checkout.parent / "shared"
    (place / "data" / "train").mkdir(parents=True)
    (place / "weights").symlink_to(shared / "weights")
    for name in ("coco213", "voc100", "video"):
        (place / "data" / name).symlink_to(shared / "data" / name)
    for folder in sorted((shared / "data" / "train").iterdir()):
        if folder.is_dir():
            (place / "data" / "train" / folder.name).mkdir()
    for photo in sorted((shared / "data" / "train" / "images").iterdir())[:PHOTOS]:
        (place / "data" / "train" / "images" / photo.name).symlink_to(photo)
    (checkout / "yolo11n.pt").symlink_to(shared / "weights" / "yolo11n.pt")
    return place


def run(command: str, folder: Path) -> None:
    """Run a block by a shell that ends at the first error; its output is shown if it fails."""
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # What evaluations keep goes with the test; networks that torch has once loaded stay.
    torch = os.environ.get("TORCH_HOME", str(Path.home() / ".cache" / "torch"))
    cache = {"XDG_CACHE_HOME": str(folder.parent / "cache"), "TORCH_HOME": torch}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=os.environ | cache | {"PATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_the_commands_of_a_guide_run(
    guide: Path, checkout: Path, request: pytest.FixtureRequest
) -> None:
    text = "\n".join(block.command for block in blocks(guide))
    for name, module in NEEDS.items():
        if name in text:
            pytest.importorskip(module)
    if re.search(r"yolo|shared|configs/|experiments/", text):
        request.getfixturevalue("data")
    if "vcm.codec.runtime.onnx" in guide.read_text(encoding="utf-8"):
        (checkout / "onnx").symlink_to(request.getfixturevalue("exported"))
    if "vcm_edge.py" in text:
        (checkout / "edge").symlink_to(request.getfixturevalue("edge"))
    for block in blocks(guide):
        if block.title is not None:
            (checkout / block.title).write_text(block.text, encoding="utf-8")
        elif block.command:
            run(block.command, checkout)


def test_what_is_run_instead_is_the_same_command() -> None:
    for guide in GUIDES:
        for block in blocks(guide):
            if block.command not in ("", block.text):
                assert block.command.split()[:2] == block.text.split()[:2], guide.name


def test_every_fence_of_a_guide_is_understood() -> None:
    for guide in GUIDES:
        text = guide.read_text(encoding="utf-8")
        fences = len(re.findall(r"^```", text, re.MULTILINE))
        assert fences == 2 * len(list(BLOCK.finditer(text))), guide.name
        assert any(block.command for block in blocks(guide)), guide.name
