"""How fast, how much memory: `vcm bench` and the shell's commands; writes results.json."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from click import progressbar

from vcm.commands import bench
from vcm.provenance import provenance

HERE = Path(__file__).parent
SIZES = (0.4, 4.0, 40.0)
LARGE = 100.0


def seconds(*command: str, repetitions: int = 7) -> float:
    """Median of what a command takes from the shell, once the files are in the cache."""
    times = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return median(times[1:])


def loading() -> float:
    """Seconds to load the codec where torch is imported already."""
    code = (
        "import time; from vcm.codec.api import Codec; t = time.perf_counter();"
        "Codec.load(); print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(5)
    ]
    return median(float(run.stdout) for run in runs)


def shell(photo: Path) -> dict[str, float]:
    """Seconds of what people type."""
    with tempfile.TemporaryDirectory() as folder:
        file, picture = f"{folder}/x.vcm", f"{folder}/x.png"
        encode = ["vcm", "encode", str(photo), "--text", "person", "-o", file]
        return {
            "vcm encode --text": seconds(*encode),
            "vcm decode": seconds("vcm", "decode", file, "-o", picture),
            "vcm info": seconds("vcm", "info", file),
            "loading the codec": loading(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=Path("../shared/data/kodak/kodim05.png"))
    options = parser.parse_args()
    timed = []
    with progressbar(length=len(SIZES) * len(bench.CASES) + 1, label="codecs") as bar:
        for cases, sizes in ((bench.CASES, SIZES), (("vcm",), (LARGE,))):
            for one in bench.run(options.photo, sizes, cases):
                timed.append(one)
                bar.update(1)
    for line in bench.table(iter(timed)):
        print(line)
    commands = shell(options.photo)
    for name, value in commands.items():
        print(f"{name:<22} {value:.2f} s")
    result = {
        "provenance": provenance(),
        "threads": torch.get_num_threads(),
        "codecs": [one._asdict() for one in timed],
        "shell_seconds": commands,
    }
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
