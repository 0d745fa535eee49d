"""What does a task loss buy, for the detector that it was made with and for others?

    python experiments/05_task_loss/run.py train      # each variant; goes on where it was stopped
    python experiments/05_task_loss/run.py evaluate   # vcm eval of all of them beside the anchors

Weights and pages lie in --work; writes results.json and a plot for each evaluation.
"""

import argparse
import tomllib
from pathlib import Path

import click

from vcm.commands.progress import shown
from vcm.commands.train import run as train
from vcm.dataset import load as load_data
from vcm.dataset import thinned
from vcm.evaluate.api import Plan, prepared, to_json
from vcm.files import add_json, write_atomic
from vcm.report.files import into
from vcm.report.plots import curve
from vcm.report.text import lines
from vcm.scale.pools import pool_of
from vcm.task import find_task
from vcm.train.config import Training, load
from vcm.train.release import release

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "configs" / "task_yolo.toml"
OURS = "at=0/12/25/40/60/80"
TUNED = "at=0/15/30/50/70/90"  # fewer bits at the same quality number
ANCHORS = (
    "x265:at=45/41/37/33/28,x265+roi:at=45/41/37/33/28,vvenc:preset=fast:at=45/41/37/33/28,"
    "vvenc+blur:preset=fast:at=45/41/37/33/28,vvenc+flat:preset=fast:at=45/41/37/33/28"
)


def slug(name: str) -> str:
    """A variant's name as a file name."""
    return name.replace(", ", "-").replace(" ", "_")


def weights(work: Path, name: str) -> Path:
    """Where a variant's weight file lies."""
    return work / f"{slug(name)}.safetensors"


def trained(name: str, changes: list[str], work: Path) -> tuple[Path, Training]:
    """The last checkpoint of a variant, trained if it is not there, and its config."""
    folder = work / slug(name)
    config = load(CONFIG, [*changes, f'run.folder="{folder}"'])
    if not (folder / "final.ckpt").exists():
        click.echo(f"== {name}")
        train(config)
    return folder / "final.ckpt", config


def tune(study: dict, work: Path) -> None:
    """Train the variants and write their weights: the encoder's alone if nothing else learnt."""
    for name, changes in study["variants"].items():
        path, config = trained(name, changes, work)
        encoder_only = config.run.learn == "encoder"
        photos = None if encoder_only else Path(config.data.photos)
        release(path, weights(work, name), photos, config.run.initial if encoder_only else None)


def plan(row: dict[str, str], codecs: str, given: argparse.Namespace) -> Plan:
    """What a row of the study means."""
    data = load_data(given.data / "coco213", row.get("only"))
    told = Plan(
        find_task(row["task"]),
        str(given.models / row["model"]),
        data if given.photos is None else thinned(data, given.photos),
        tuple(codecs.split(",")),
        on_empty="background",
        cache=given.work.parent / "04_tasks" / "files",
        reference=f"vcm:{OURS}",
    )
    return prepared(told)


def compare(study: dict, given: argparse.Namespace) -> None:
    """Evaluate every variant that has weights, beside our own model and the anchors."""
    target = HERE if given.photos is None else given.work  # parts of it are nobody's result
    tuned = [w for name in study["variants"] if (w := weights(given.work, name)).is_file()]
    ours = [f"vcm:{OURS}", *(f"vcm:weights={w}:{TUNED}" for w in ("yolo11n", *tuned))]
    codecs = ",".join([*ours, ANCHORS])
    for row in study["evaluation"]:
        if given.only and row["name"] not in given.only:
            continue
        folder = given.work / slug(row["name"])
        report = into(
            folder, plan(row, codecs, given), pool_of(given.workers, None), click.echo, shown
        )
        click.echo("\n".join([f"== {row['name']}", *lines(report)]))
        write_atomic(target / f"{folder.name}.png", curve(report, report.metric, "png"))
        kept = to_json(report)
        for codec in kept["codecs"]:
            for point in codec["points"]:
                point.pop("classes", None)
        del kept["uncompressed_classes"]
        add_json(target / "results.json", {row["name"]: kept})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "evaluate"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--work", type=Path, default=Path("runs/05_task_loss"))
    study = tomllib.loads((HERE / "variants.toml").read_text())
    names = [row["name"] for row in study["evaluation"]]
    parser.add_argument("--only", nargs="+", choices=names, help="the evaluations of these names")
    parser.add_argument("--photos", type=int, help="so many, for a try: into --work")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.what == "evaluate":
        compare(study, given)
        return
    tune(study, given.work)


if __name__ == "__main__":
    main()
