"""The wheel: everything is in it, and it works far from the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vcm import image
from vcm.task import task_names

pytestmark = pytest.mark.slow  # builds and installs

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip wheel .` makes of a copy of the checkout: the build writes next to its source."""
    copy, target = tmp_path_factory.mktemp("source") / "vcm", tmp_path_factory.mktemp("wheel")
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "runs", "out")
    shutil.copytree(REPOSITORY, copy, symlinks=True, ignore=unneeded)
    pip("wheel", str(copy), "--no-deps", "--no-build-isolation", "--wheel-dir", str(target))
    (found,) = target.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`vcm` of a fresh environment with the wheel; dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    (site,) = folder.glob("lib/python*/site-packages")
    # A .pth file in one folder is not read in another: the editable vcm stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "vcm"


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run(program: Path, folder: Path, *arguments: str) -> str:
    """What the installed program prints, run in a folder that has nothing to do with us."""
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, env=plain, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_all_data_and_nothing_but_vcm(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"vcm/tasks/{name}.toml" for name in task_names()} <= names
    package = REPOSITORY / "vcm"
    data = {
        path
        for folder in ("weights", "roi", "report", "browser/page")
        for path in (package / folder).iterdir()
    }
    assert {
        path.relative_to(REPOSITORY).as_posix()
        for path in data
        if path.suffix in (".safetensors", ".md", ".toml", ".jinja", ".html", ".js", ".css")
    } <= names
    assert {f"vcm/{p.relative_to(package).as_posix()}" for p in package.rglob("*.py")} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vcm"}


def test_it_works_without_the_checkout(
    program: Path, photos: dict[str, NDArray[np.uint8]], tmp_path: Path
) -> None:
    image.write(tmp_path / "photo.png", photos["person"])
    made = run(
        program, tmp_path,
        "encode", "photo.png", "--task", "coco-person", "-o", "photo.vcm", "--json",
    )  # fmt: skip
    assert 0.05 < json.loads(made)["roi_share"] < 0.95
    facts = json.loads(run(program, tmp_path, "info", "photo.vcm", "--json"))
    assert facts["bytes"] == (tmp_path / "photo.vcm").stat().st_size
    run(program, tmp_path, "decode", "photo.vcm", "-o", "decoded.png")
    assert image.read(tmp_path / "decoded.png").shape == photos["person"].shape


def test_its_doctor_finds_the_models(program: Path, tmp_path: Path) -> None:
    report = json.loads(run(program, tmp_path, "doctor", "--json"))
    assert {m["name"]: m["error"] for m in report["models"]} == {
        "codec-base": None,
        "codec-next": None,
        "codec-yolo11n": None,
        "roi-base": None,
    }
    folder = program.parent.parent
    where = "import vcm; print(vcm.__file__)"
    found = subprocess.run(
        [str(folder / "bin" / "python"), "-c", where], cwd=tmp_path, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(folder)
