"""How many bits do detectors and segmenters need? `vcm eval` over the rows of study.toml.

If stopped, it continues where it left off. Writes results.json (without the numbers of each class)
and a plot for each evaluation; the pages lie in --work.
"""

import argparse
import tomllib
from pathlib import Path

import click

from vcm.commands.progress import shown
from vcm.dataset import load, thinned
from vcm.evaluate.api import Plan, prepared, to_json
from vcm.files import add_json, write_atomic
from vcm.report.files import file_of, into
from vcm.report.text import lines
from vcm.scale.pools import pool_of
from vcm.task import find_task

HERE = Path(__file__).parent


def plan(row: dict[str, str], study: dict, given: argparse.Namespace) -> Plan:
    """What a row of the study means."""
    data = load(given.data / row.get("data", "coco213"), row.get("only"))
    photos = given.photos or row.get("photos")
    texts = given.codecs or ",".join([*study["codecs"], *row.get("more", ())])
    codecs = tuple(text.strip() for text in texts.split(","))
    told = Plan(
        find_task(row["task"]),
        str(given.models / row["model"]),
        data if photos is None else thinned(data, photos),
        codecs,
        roi=row.get("roi", "embedded"),
        roi_weights=str(given.models / row["roi_weights"]) if "roi_weights" in row else None,
        on_empty=row.get("on_empty", "background"),
        cache=given.work / "files",
        reference=next((text for text in codecs if text.startswith("x265:")), None),
    )
    return prepared(told)


def short(report: dict) -> dict:
    """A report without what only its own page needs."""
    kept = {k: v for k, v in report.items() if k not in ("uncompressed_classes", "command")}
    for codec in kept["codecs"]:
        for point in codec["points"]:
            point.pop("classes", None)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--work", type=Path, default=Path("runs/04_tasks"))
    study = tomllib.loads((HERE / "study.toml").read_text())
    names = [row["name"] for row in study["evaluation"]]
    parser.add_argument("--only", nargs="+", choices=names, help="the evaluations of these names")
    parser.add_argument("--photos", type=int, help="so many, for a try: into --work")
    parser.add_argument("--codecs", help="instead of the study's, for a try: into --work")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    target = HERE if given.photos is None and given.codecs is None else given.work
    for row in study["evaluation"]:
        if given.only and row["name"] not in given.only:
            continue
        click.echo(f"== {row['name']}")
        folder = given.work / row["name"].replace(", ", "-").replace(" ", "_")
        report = into(
            folder, plan(row, study, given), pool_of(given.workers, None), click.echo, shown
        )
        click.echo("\n".join(lines(report)))
        plot = (folder / file_of(report.metric)).read_bytes()
        write_atomic(target / f"{folder.name}.png", plot)
        add_json(target / "results.json", {row["name"]: short(to_json(report))})


if __name__ == "__main__":
    main()
