"""`vcm export --bundle`: a folder that encodes and decodes without torch.

vcm_edge.py         its program
vcm/                copies of those modules of this package that the program imports
networks/           the codec's, see `vcm.codec.runtime.export`
words.onnx          the words' network
requirements.txt    the four packages that it needs
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vcm.codec.runtime.export import export
from vcm.errors import OutputError
from vcm.files import make_folder, write_atomic
from vcm.roi.bake import bake
from vcm.roi.embedded import DEFAULT
from vcm.roi.text import parse

PACKAGE: Final = Path(__file__).parent
PROGRAM: Final = "vcm_edge.py"
NETWORKS: Final = "networks"
WORDS: Final = "words.onnx"
START: Final = ("vcm.edge.command", "vcm.roi.baked")  # the second is imported by its name
DATA: Final = ("roi/words.toml", "roi/lexicon.toml")
REQUIREMENTS: Final = """\
constriction>=0.4,<0.6
numpy>=1.26
onnxruntime>=1.20
opencv-python-headless>=4.10
"""


def write(folder: Path, weights: str, words: str | None = None) -> dict[str, int]:
    """Write a bundle of a model; bytes by file, or by folder of modules.

    Args:
        folder: made if it is not there; a bundle in it is replaced.
        weights: a built-in codec's name or a weight file.
        words: those that the bundle has to find; None: all that the network knows.

    Raises:
        ModelError: if there is no such model of ours.
        UnknownWord: if the words' network does not know one of them.
        SpecError: if the words are no text of an ROI.
        MissingExtra: if a package is missing.
        OutputError: if the folder cannot be written, or has a vcm folder that no bundle made.
    """
    own = program(folder, words)
    sizes = export(folder / NETWORKS, weights)
    return own | {f"{NETWORKS}/{name}": size for name, size in sizes.items()}


def program(folder: Path, words: str | None = None) -> dict[str, int]:
    """Write all of a bundle but the codec's networks; arguments and errors as of `write`."""
    network = bake(DEFAULT, None if words is None else parse(words))
    if (folder / "vcm").exists() and not (folder / PROGRAM).exists():
        raise OutputError(f"{str(folder)!r} holds a vcm that is no bundle's; give another folder")
    files = {PROGRAM: PACKAGE / "edge" / PROGRAM} | modules()
    for name, source in files.items():
        _write(folder / name, source.read_bytes())
    _write(folder / WORDS, network)
    _write(folder / "requirements.txt", REQUIREMENTS.encode())
    return {"vcm": sum(source.stat().st_size for source in files.values()), WORDS: len(network)}


def modules() -> dict[str, Path]:
    """The files that the program needs of this package, by their names in the bundle."""
    found: dict[str, Path] = {}
    waiting = list(START)
    while waiting:
        path = _file_of(waiting.pop())
        if path is None or path in found.values():
            continue
        found[path.relative_to(PACKAGE.parent).as_posix()] = path
        waiting += imports(ast.parse(path.read_text(encoding="utf-8")))
    return found | {f"vcm/{name}": PACKAGE / name for name in DATA}


def imports(node: ast.AST) -> Iterator[str]:
    """The full names of modules of this package, and of what is in them, that code imports.

    With the packages around them; without what is there for type checkers only.
    """
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ImportFrom) and inner.module is not None:
            for alias in inner.names:
                yield from _with_packages(f"{inner.module}.{alias.name}")
        elif isinstance(inner, ast.Import):
            for alias in inner.names:
                yield from _with_packages(alias.name)
        elif not (isinstance(inner, ast.If) and ast.unparse(inner.test) == "TYPE_CHECKING"):
            yield from imports(inner)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    if parts[0] == "vcm":
        yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def _file_of(name: str) -> Path | None:
    """The file of a module or a package; None if it is what one of them holds."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    write_atomic(path, data)
