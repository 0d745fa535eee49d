"""`vcm export --page`: a web page that decodes in the browser, as a folder for any web server.

index.html, *.js, style.css   the page, from the folder `page` here
networks/                     of the decoder, see `vcm.codec.runtime.export`
ort/                          onnxruntime-web, which runs them: two files of its package
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vcm.codec.runtime.export import DECODER, export
from vcm.errors import ModelError
from vcm.files import make_folder, write_atomic

PAGE: Final = Path(__file__).parent / "page"
NETWORKS: Final = "networks"
RUNTIME: Final = "ort"
RUNTIME_FILES: Final = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
INSTALLED: Final = Path("node_modules") / "onnxruntime-web" / "dist"


def write(folder: Path, weights: str, runtime: Path | None = None) -> dict[str, int]:
    """Write the page that decodes files of a model; returns bytes by file.

    Args:
        folder: made if it is not there; a page in it is replaced.
        weights: a built-in codec's name or a weight file.
        runtime: the folder `dist` of onnxruntime-web; None: where npm put it, in the current
            folder or a parent.

    Raises:
        ModelError: if there is no such model of ours, or onnxruntime-web is not there.
        MissingExtra: if onnxscript is not installed.
        OutputError: if the folder cannot be written.
    """
    own = program(folder, runtime)
    sizes = export(folder / NETWORKS, weights, DECODER)
    return own | {f"{NETWORKS}/{name}": size for name, size in sizes.items()}


def program(folder: Path, runtime: Path | None = None) -> dict[str, int]:
    """Write all of a page but the networks; arguments and errors are those of `write`."""
    found = {f"{RUNTIME}/{source.name}": source for source in _runtime(runtime)}
    scripts = {source.name: source for source in sorted(PAGE.iterdir())}
    for name, source in (scripts | found).items():
        make_folder((folder / name).parent)
        write_atomic(folder / name, source.read_bytes())
    sizes = {name: source.stat().st_size for name, source in found.items()}
    return {"page": sum(source.stat().st_size for source in scripts.values())} | sizes


def _runtime(folder: Path | None) -> list[Path]:
    """The two files of onnxruntime-web."""
    for place in [folder] if folder else _around():
        files = [place / name for name in RUNTIME_FILES]
        if all(file.is_file() for file in files):
            return files
    raise ModelError(
        f"onnxruntime-web is not in {str(folder or INSTALLED)!r}, where "
        f"{' and '.join(RUNTIME_FILES)} should be; get it with: npm install onnxruntime-web",
        hint="runtime",
    )


def _around() -> Iterator[Path]:
    here = Path.cwd()
    return (place / INSTALLED for place in (here, *here.parents))
