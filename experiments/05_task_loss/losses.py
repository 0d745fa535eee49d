"""How far a tuning lowered its own loss: rate at an equal loss, on the run's held-out crops.

    python experiments/05_task_loss/losses.py runs/05_task_loss/answers task.loss=answers task.mu=30

takes the last check of a finished run and that of the encoder that it began with (a training of one
step that changes nothing, in a folder beside it). The changes are those of the run. Adds to
losses.json.
"""

import argparse
import json
import math
from pathlib import Path

from vcm.bd import bd_rate
from vcm.commands.train import run as train
from vcm.files import add_json
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.train.check import SIGMAS
from vcm.train.config import load
from vcm.train.kinds import RoiStep

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "configs" / "task_yolo.toml"
PIXELS = 10**6  # a number for bits per pixel to be of
SCORES = {"task": lambda term: -10 * math.log10(term), "psnr": lambda decibels: decibels}


def last_check(folder: Path) -> dict[str, float]:
    """The newest record of a run that holds a check."""
    records = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [record for record in records if "q0_s1.0_task" in record][-1]


def curve(record: dict[str, float], sigma: float, key: str) -> RDCurve:
    """One of SCORES over the rate, by the entropy model."""
    points = []
    for quality in RoiStep.qualities:
        name = f"q{quality}_s{sigma}"
        bits = round(PIXELS * record[f"{name}_bpp"])
        points.append(RDPoint(bits, PIXELS, SCORES[key](record[f"{name}_{key}"])))
    return RDCurve(f"sigma {sigma:g}", key, tuple(points))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the finished run")
    parser.add_argument("changes", nargs="*", help="that the run was given, TABLE.KEY=VALUE")
    given = parser.parse_args()
    before = given.folder.with_name(f"{given.folder.name}-before")
    still = ["optim.steps=1", "optim.lr=1e-12", "run.check_every=1", "run.log_every=1"]
    if not (before / "final.ckpt").exists():
        train(load(CONFIG, [*given.changes, *still, f'run.folder="{before}"']))
    records = last_check(before), last_check(given.folder)
    table = {
        f"sigma {sigma:g}": {
            key: bd_rate(*(curve(record, sigma, key) for record in records)) for key in SCORES
        }
        for sigma in SIGMAS
    }
    for name, row in table.items():
        print(name, "  ".join(f"{key} {value:+.1f} %" for key, value in row.items()))
    found = {"changes": given.changes, "BD-rate, %": table, "provenance": provenance()}
    add_json(HERE / "losses.json", {given.folder.name: found})


if __name__ == "__main__":
    main()
