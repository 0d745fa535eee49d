"""Short clips that tests make of the real ones, by ffmpeg's program."""

import subprocess
from pathlib import Path

from vcm.anchors.ffmpeg import program


def ffmpeg(*arguments: str | Path) -> None:
    """Run it."""
    command = [program(), "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def made(path: Path, source: Path, frames: int, *options: str, width: int = 192) -> Path:
    """The first frames of a clip, smaller."""
    ffmpeg("-i", source, "-frames:v", str(frames), "-vf", f"scale={width}:-2", *options, path)
    return path
