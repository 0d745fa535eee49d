"""What lies in the repository besides the package: sizes, versions, and one way to test."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

import vcm

REPOSITORY = Path(__file__).resolve().parent.parent
LIMIT = 100 * 1024  # bytes
LARGE = {  # what is over it, and may be
    "docs/*.jpg",
    "experiments/*/*.png",
    "experiments/*/results.json",
    "tests/golden/v*.safetensors",
    "vcm/weights/*.safetensors",
}


def tracked() -> list[Path]:
    """The files that git knows of, new ones in the index too."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("needs a git checkout")
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = (Path(name) for name in done.stdout.split("\0") if name)
    return [name for name in names if (REPOSITORY / name).is_file()]


def yaml(name: str) -> Any:
    loader = pytest.importorskip("yaml", reason="needs: pip install 'vcm[docs]'")
    return loader.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))


def test_a_person_sees_what_was_skipped_and_why(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import pytest\ndef test_x():\n    pytest.skip('needs a moon')\n"
    )
    command = [sys.executable, "-m", "pytest", "-c", str(REPOSITORY / "pyproject.toml")]
    command += ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path / "test_x.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert re.search(r"SKIPPED \[1\] .*test_x.py:3: needs a moon", done.stdout), done.stdout


def test_size_of_files() -> None:
    large = {p.as_posix() for p in tracked() if (REPOSITORY / p).stat().st_size > LIMIT}
    assert {name for name in large if not any(Path(name).match(p) for p in LARGE)} == set()
    for pattern in LARGE:
        assert any(Path(name).match(pattern) for name in large), f"{pattern} is not needed"


def test_a_name_is_that_of_one_class() -> None:
    defined: dict[str, list[str]] = defaultdict(list)
    for path in sorted((REPOSITORY / "vcm").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")
    assert len(defined) > 200
    assert not {n: places for n, places in defined.items() if len(places) > 1}


def test_no_two_test_modules_have_one_name() -> None:
    """pytest would collect the first of them alone."""
    names = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert len(names) > 100 and {name for name, count in names.items() if count > 1} == set()


def test_one_version_everywhere() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == vcm.__version__ == yaml("CITATION.cff")["version"]
    assert project["license"] == yaml("CITATION.cff")["license"]


def test_the_workflow_runs_make_test_on_each_python_that_is_supported() -> None:
    job = yaml(".github/workflows/test.yml")["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test"]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    low, high = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(low, high)]


def test_the_workflow_decodes_by_the_oldest_torch_that_is_supported() -> None:
    job = yaml(".github/workflows/test.yml")["jobs"]["oldest-torch"]
    commands = "\n".join(step["run"] for step in job["steps"] if "run" in step)
    wanted = (REPOSITORY / "pyproject.toml").read_text()
    for name in ("torch", "torchvision"):
        (low,) = re.findall(rf'"{name}>=([\d.]+),', wanted)
        assert f'"{name}=={low}.*"' in commands
    # without this variable the test is skipped
    assert "VCM_OTHER_PYTHON" in job["env"] and "-k another_torch" in commands


def test_the_hooks_before_a_commit_are_the_tools_of_make_lint() -> None:
    (local,) = yaml(".pre-commit-config.yaml")["repos"]
    entries = " ".join(hook["entry"] for hook in local["hooks"])
    lint = (REPOSITORY / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    for tool in re.findall(r"\$\(BIN\)/([\w-]+(?: format| check)?)", lint):
        assert f".venv/bin/{tool}" in entries
    assert "tests/test_repository.py" in entries and Path(__file__).name == "test_repository.py"
