"""The program of a bundle, run where only the packages that it needs can be imported.

As a script: the bundle's folder, then the program's arguments.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

MISSING = ("torch", "torchvision", "compressai", "PIL", "click", "safetensors", "onnx", "rich")


def command(folder: Path, *arguments: object) -> list[str]:
    """What starts the program of a bundle so."""
    return [sys.executable, __file__, str(folder), *map(str, arguments)]


def environment() -> dict[str, str]:
    """Without the path of another vcm than the bundle's."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def ran(where: Path, folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """The program's end, run in a folder."""
    return subprocess.run(
        command(folder, *arguments), cwd=where, env=environment(), capture_output=True, text=True
    )


def main() -> None:
    """Run it in this process."""
    folder = Path(sys.argv[1])
    for name in MISSING:
        sys.modules[name] = None  # type: ignore[assignment] # every import of it fails
    sys.path.insert(0, str(folder))
    sys.argv[:2] = ["vcm_edge.py"]
    runpy.run_path(str(folder / "vcm_edge.py"), run_name="__main__")


if __name__ == "__main__":
    main()
