"""How many bits do detectors and segmenters need? `vcm eval` over the rows of study.toml.

Stopped, it goes on where it was. Writes results.json (without the numbers of each class) and a plot
for each evaluation; the pages lie in --work.
"""

import argparse
import tomllib
from pathlib import Path

import click

from vcm.commands import eval as evaluation
from vcm.files import add_json, write_atomic

HERE = Path(__file__).parent


def options(row: dict[str, str], study: dict, given: argparse.Namespace) -> evaluation.Options:
    """The options of `vcm eval` that a row of the study means."""
    codecs = given.codecs or ",".join([*study["codecs"], *row.get("more", ())])
    reference = next((text for text in codecs.split(",") if text.startswith("x265:")), None)
    return evaluation.Options(
        task=row["task"],
        text=None,
        model=str(given.models / row["model"]),
        data=given.data / row.get("data", "coco213"),
        only=row.get("only"),
        photos=given.photos or row.get("photos"),
        codecs=codecs,
        roi=row.get("roi", "embedded"),
        roi_weights=str(given.models / row["roi_weights"]) if "roi_weights" in row else None,
        on_empty=row.get("on_empty", "background"),
        weights="base",
        reference=reference,
        workers=given.workers,
        cache=given.work / "files",
        no_cache=False,
        unchecked=False,
        wandb=None,
    )


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
        folder.mkdir(parents=True, exist_ok=True)
        report = evaluation.run(folder, options(row, study, given), click.echo)
        for line in evaluation.lines(report):
            click.echo(line)
        plot = (folder / f"{report['metric'].replace(' ', '-')}.png").read_bytes()
        write_atomic(target / f"{folder.name}.png", plot)
        add_json(target / "results.json", {row["name"]: short(report)})


if __name__ == "__main__":
    main()
