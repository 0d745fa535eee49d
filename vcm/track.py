"""Weights & Biases behind one function: experiments that can be watched and compared.

`WANDB_MODE=offline` works without network or account; `wandb sync` sends such runs later.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from vcm.errors import MissingExtra, ModelError
from vcm.files import write_atomic

STEP: Final = "train/step"  # in what `training_values` gives
ID: Final = "wandb.json"  # in a run's folder: a resumed run continues the same one


@contextmanager
def tracked(project: str, name: str, config: dict[str, Any], folder: Path) -> Iterator[Any]:
    """A W&B run, finished when the block ends; marked as failed if it ends by an error.

    A folder belongs to one run: opened again, that run is continued. (A sweep's agent makes a new
    one each time.)

    Args:
        config: what the run is told, shown beside its results.
        folder: of the experiment; W&B's own files go to "wandb" in it.

    Raises:
        MissingExtra: if wandb is not installed.
        ModelError: if W&B refuses, as without an account.
    """
    check_installed()
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder / ID)
    try:
        run = wandb.init(
            project=project, name=name, config=config, dir=folder, id=known, resume="allow"
        )
    except (wandb.errors.Error, TimeoutError) as error:
        raise ModelError(
            f"W&B: {error}; log in with `wandb login`, or set WANDB_MODE=offline"
        ) from error
    write_atomic(folder / ID, json.dumps({"id": run.id}).encode())
    try:
        yield run
    except KeyboardInterrupt:  # to be resumed
        run.finish()
        raise
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


def check_installed() -> None:
    """Raises MissingExtra if wandb is not installed: to be known before hours of work."""
    if find_spec("wandb") is None:
        raise MissingExtra("wandb", "wandb")


def _known(path: Path) -> str | None:
    """The id of the run that the folder belongs to."""
    try:
        known: str = json.loads(path.read_text())["id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known


def training_axis(run: Any) -> None:
    """Curves over the training's own steps: W&B's only ever grow, and a run may go back."""
    run.define_metric("*", step_metric=STEP)


def log_training(run: Any, record: dict[str, float], folder: Path) -> None:
    """A record of `vcm train`: terms of the loss, curves by quality and sigma, pictures."""
    import wandb

    values: dict[str, Any] = dict(training_values(record))
    samples = folder / "samples.png"
    if "q50_s1.0_bpp" in record and samples.is_file():
        values["samples"] = wandb.Image(str(samples))
    run.log(values)


def training_values(record: dict[str, float]) -> dict[str, float]:
    """The numbers of a record in groups: terms of the loss, and held-out curves by sigma."""
    values = {}
    for key, value in record.items():
        parts = key.split("_")  # held-out keys are like q50_s0.1_bpp
        group = f"held out sigma {parts[1][1:]}" if parts[0][1:].isdecimal() else "train"
        values[f"{group}/{key}"] = value
    return values


def log_model(run: Any, path: Path) -> None:
    """A model's file as an artifact."""
    import wandb

    model = wandb.Artifact(f"codec-{run.id}", "model")
    model.add_file(str(path))
    run.log_artifact(model)


def log_evaluation(run: Any, report: dict[str, Any], folder: Path) -> None:
    """Tables, plots, BD-rates, the page and the files of a `vcm eval`."""
    import wandb

    rows = [
        [codec["name"], point["setting"], point["bpp"]["value"], metric, score["value"]]
        for codec in report["codecs"]
        for point in codec["points"]
        for metric, score in point["scores"].items()
    ]
    columns: list[str | int] = ["codec", "setting", "bpp", "metric", "score"]
    logged: dict[str, Any] = {"points": wandb.Table(columns, rows)}
    for plot in sorted(folder.glob("*.png")):
        logged[f"curves/{plot.stem}"] = wandb.Image(str(plot))
    logged["page"] = wandb.Html((folder / "index.html").read_text(encoding="utf-8"), inject=False)
    run.log(logged)
    run.summary.update(summary(report))
    files = wandb.Artifact(f"evaluation-{run.id}", "evaluation")
    for name in ("results.json", "pictures.csv", "index.html"):
        files.add_file(str(folder / name))
    run.log_artifact(files)


def summary(report: dict[str, Any]) -> dict[str, float]:
    """One number each: what runs are compared by."""
    numbers = {f"uncompressed/{m}": v["value"] for m, v in report["uncompressed"].items()}
    for metric, by_codec in report["bd"].items():
        numbers |= {f"BD-rate {metric}/{codec}": v["value"] for codec, v in by_codec.items()}
    for share, by_codec in report["bits_at"].items():
        numbers |= {f"bpp at {share} %/{codec}": v["value"] for codec, v in by_codec.items()}
    return {name: value for name, value in numbers.items() if value is not None}
