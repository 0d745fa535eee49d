"""The shape of the package; that imports point downwards is said in pyproject.toml: `make lint`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vcm import container

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "vcm"

# Large or restrictively licensed packages, and the only parts that may import them, inside a
# function: whoever does not use the adapter never pays for them.
ADAPTERS = {
    "datasets": {"scale"},
    "detectron2": {"vision"},
    "ray": {"scale"},
    "transformers": {"roi", "vision"},
    "ultralytics": {"roi", "vision"},
    "wandb": {"track"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))
CONTAINER = sorted((PACKAGE / "container").glob("*.py"))
STANDARD_LIBRARY_ONLY = [*CONTAINER, PACKAGE / "errors.py", PACKAGE / "files.py"]


def part_of(module: Path) -> str:
    """`codec` for vcm/codec/models/roi.py, `image` for vcm/image.py."""
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def names(node: ast.AST) -> Iterator[str]:
    """The full names that an import statement mentions; `from a import b` may mean a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports name the package in full"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(node: ast.AST) -> set[str]:
    return {name for inner in ast.walk(node) for name in names(inner)}


def parse(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def ident(module: Path) -> str:
    return str(module.relative_to(REPOSITORY))


@pytest.mark.parametrize("module", MODULES, ids=ident)
def test_adapters_alone_import_task_models(module: Path) -> None:
    tree = parse(module)
    top = {name for node in tree.body for name in names(node)}
    for name in imports(tree):
        package = name.split(".")[0]
        if package in ADAPTERS:
            assert part_of(module) in ADAPTERS[package], f"only an adapter may import {package}"
            assert name not in top, f"import {package} inside the function that needs it"


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ONLY, ids=ident)
def test_the_container_needs_the_standard_library_only(module: Path) -> None:
    packages = {name.split(".")[0] for name in imports(parse(module))}
    assert packages <= {"vcm", *sys.stdlib_module_names}


# __main__ is run and never imported.
@pytest.mark.parametrize("module", [m for m in MODULES if m.stem != "__main__"], ids=ident)
def test_nothing_happens_at_import(module: Path) -> None:
    definitions = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    constants = ast.Assign | ast.AnnAssign
    for node in parse(module).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "__name__ == '__main__'",
        )
        assert isinstance(node, definitions | constants) or docstring or guard, (
            f"{ident(module)}:{node.lineno} does something when it is imported"
        )


def test_files_and_functions_are_small_and_named_for_what_they_hold() -> None:
    for folder in ("vcm", "tests", "experiments"):
        for module in (REPOSITORY / folder).rglob("*.py"):
            assert "util" not in module.stem, ident(module)
            lines = len(module.read_text(encoding="utf-8").splitlines())
            assert lines <= 350, f"{ident(module)} has {lines} lines"
            for node in ast.walk(parse(module)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    assert length <= 80, f"{ident(module)}: {node.name} has {length} lines"


def test_vcm_info_loads_neither_torch_nor_numpy(tmp_path: Path) -> None:
    path = tmp_path / "a.vcm"
    header = container.Header(bytes(8), 5, 7, 5000)
    path.write_bytes(container.pack(container.Bitstream(header, b"z", b"y")))
    command = [sys.executable, "-X", "importtime", "-m", "vcm", "info", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
    assert "vcm.container" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "PIL", "compressai", *ADAPTERS})


# of no use to one picture and one file, and slow to load
UNNEEDED = {
    "compressai", "matplotlib", "scipy", "sympy", "timm", "torch._dynamo", "torch.onnx",
    "torchvision", "vcm.draw", "vcm.scale.cluster", "vcm.scale.local", "vcm.vision.yolo",
}  # fmt: skip


def test_one_picture_and_one_file_load_what_they_need(tiny_weights: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "a.png")
    vcm = [sys.executable, "-X", "importtime", "-m", "vcm"]
    for arguments, needed in (
        (["encode", "a.png", "--text", "person", "-o", "a.vcm"], "vcm.roi.embedded"),
        (["decode", "a.vcm", "-o", "b.png"], "vcm.codec.runtime.decoder"),
    ):
        command = [*vcm, *arguments, "--weights", str(tiny_weights)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert needed in loaded
        assert loaded.isdisjoint(UNNEEDED | set(ADAPTERS)), loaded & UNNEEDED


@pytest.mark.parametrize("name", ["Coded", "Outcome", "Task"])
def test_one_name_has_one_meaning(name: str) -> None:
    classes = [
        ident(module)
        for module in MODULES
        for node in parse(module).body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    assert len(classes) == 1
