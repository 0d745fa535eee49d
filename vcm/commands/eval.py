"""`vcm eval`: how many bits does a task model need?"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from vcm import draw
from vcm.dataset import load, thinned
from vcm.errors import SpecError
from vcm.evaluate import run as pictures
from vcm.evaluate.codecs import parse
from vcm.evaluate.measure import Measurer, available
from vcm.evaluate.plan import Plan
from vcm.evaluate.record import Record, unpacked
from vcm.evaluate.result import (
    check_expected,
    reference_of,
    result,
    rows_for_csv,
    uncompressed,
)
from vcm.evaluate.store import default_folder
from vcm.files import write_atomic
from vcm.metrics.learned import NAMES as PERCEPTUAL
from vcm.models import check_name
from vcm.report.page import Panel, Row, page
from vcm.report.plots import drawn
from vcm.roi.mask import OnEmpty
from vcm.roi.text import parse as parse_words
from vcm.scale.sources import Source, read
from vcm.scale.work import kept, pool_of
from vcm.task import TaskSpec, find_task
from vcm.track import check_installed, log_evaluation, tracked
from vcm.vision.base import Image

SHOWN: Final = 4  # photos on the page
SIDE: Final = 1_200  # pixels of them: the page shows them small, and WebP ends at 16,383
CODECS: Final = "vcm,vcm:sigma=1,x265,x265+roi"
Track = Callable[[Iterator[pictures.Done], int, str], Iterator[pictures.Done]]


@dataclass(frozen=True)
class Options:
    """The options of the command line, one to one, and one more.

    Attributes:
        perceptual: whether LPIPS and DISTS are measured, whose weights may have to be downloaded.
    """

    task: str | None
    text: str | None
    model: str | None
    data: Path
    only: str | None
    photos: int | None
    codecs: str
    roi: str
    roi_weights: str | None
    on_empty: OnEmpty
    weights: str
    reference: str | None
    workers: int | None
    cache: Path | None
    no_cache: bool
    unchecked: bool
    wandb: str | None
    perceptual: bool = True
    ray: str | None = None


def bar(done: Iterator[pictures.Done], length: int, label: str) -> Iterator[pictures.Done]:
    """The same pictures under a progress bar on standard error."""
    with click.progressbar(done, length=length, label=label, file=sys.stderr) as shown:
        yield from shown


def run(
    output: Path, options: Options, say: Callable[[str], None], track: Track = bar
) -> dict[str, Any]:
    """Measure, score and write the folder; the report is what results.json holds.

    Args:
        say: is told what is being done.
        track: passes the pictures on and shows how far they are.

    Raises:
        VcmError: if something cannot be had, or the uncompressed score is not the expected one.
    """
    if options.wandb is not None:
        check_installed()
    plan = planned(options, say)
    folder, measurer = output / "pictures", Measurer(plan)
    measurer.try_codecs()
    say(f"ROI: {plan.task.text} by {' + '.join(measurer.networks)}")
    failed: dict[str, str] = {}
    with kept(pool_of(options.workers, options.ray)) as pool:

        def measure(plan: Plan, label: str) -> None:
            done = pictures.measured(plan, folder, pool)
            for one in track(done, len(plan.data.photos), label):
                failed.pop(one.photo.name, None)  # it may have failed before, and not again
                if one.error is not None:
                    failed[one.photo.name] = one.error

        measure(plan.without_codecs(), "uncompressed")
        records = pictures.records(plan, folder)
        if records:
            scores = uncompressed(plan, measurer.model, records)
            if not options.unchecked:
                say(check_expected(plan, scores))
        measure(plan, "coding and looking")
    records = pictures.records(plan, folder)
    report = result(plan, measurer.model, measurer.codecs, records, options.reference, say)
    report["failed"] |= failed
    report["roi"]["networks"] = list(measurer.networks)
    say("drawing")
    _write(output, report, plan, records, _rows(measurer, plan, report, records))
    if options.wandb is not None:
        config = {k: report[k] for k in ("task", "model", "data", "roi", "command", "commit")}
        with tracked(options.wandb, output.resolve().name, config, output) as wandb_run:
            log_evaluation(wandb_run, report, output)
    return report


def planned(options: Options, say: Callable[[str], None]) -> Plan:
    """The plan that the options mean; what cannot be is said before any work."""
    task = _task(options)
    pool_of(options.workers, options.ray)  # refuses what cannot be
    model = options.model or _model_of(task)
    check_name(model)
    codecs = tuple(text.strip() for text in options.codecs.split(",") if text.strip())
    if not codecs or len(set(codecs)) < len(codecs):
        raise SpecError(f"--codecs: expected different codecs, got {options.codecs!r}")
    for text in codecs:
        parse(text)
    reference_of(codecs, options.reference)
    data = load(options.data, options.only)
    if options.photos is not None:
        data = thinned(data, options.photos)
    perceptual, lines = available(PERCEPTUAL if options.perceptual else ())
    for line in lines:
        say(f"left out: {line}")
    cache = None if options.no_cache else options.cache or default_folder()
    roi = options.roi, options.roi_weights, options.on_empty
    return Plan(task, model, data, codecs, *roi, options.weights, cache, perceptual, tuple(lines))


def _task(options: Options) -> TaskSpec:
    if (options.task is None) == (options.text is None):
        raise SpecError("give either --task or --text: what the model looks for")
    if options.task is not None:
        return find_task(options.task)
    words = parse_words(options.text or "")
    return TaskSpec("text", 1, "", words.phrases, words.exclude)


def _model_of(task: TaskSpec) -> str:
    if task.model is None or task.weights is None:
        told = f"task {task.name}" if task.name != "text" else "--text"
        raise SpecError(f"{told} names no model; give one with --model")
    return f"{task.model}:{task.weights}"


def _write(
    output: Path,
    report: dict[str, Any],
    plan: Plan,
    records: dict[str, Record],
    rows: Sequence[Row],
) -> None:
    write_atomic(output / "results.json", (json.dumps(report, indent=1) + "\n").encode())
    write_atomic(output / "pictures.csv", _csv(list(rows_for_csv(plan, records))))
    for metric, plot in drawn(report, "png"):
        write_atomic(output / f"{metric.replace(' ', '-')}.png", plot)
    title = f"vcm eval: {plan.task.description or plan.task.text}"
    write_atomic(output / "index.html", page(report, rows, title).encode())


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for row in rows for k in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _rows(
    measurer: Measurer, plan: Plan, report: dict[str, Any], records: dict[str, Record]
) -> list[Row]:
    """A few photos, each codec at its setting whose rate is nearest to that of the lower third."""
    rates = sorted(p["bpp"]["value"] for c in report["codecs"] for p in c["points"])
    middle = rates[len(rates) // 3]
    chosen = {
        c["text"]: min(c["points"], key=lambda p: abs(p["bpp"]["value"] - middle))["setting"]
        for c in report["codecs"]
    }
    fit = [p for p in plan.data.photos if p.name in records and p.name not in report["failed"]]
    fit.sort(key=lambda p: abs(records[p.name]["roi_share"] - 0.25))
    return [_row(measurer, photo, records[photo.name], chosen) for photo in fit[:SHOWN]]


def _row(measurer: Measurer, photo: Source, record: Record, settings: dict[str, float]) -> Row:
    picture = read(photo)
    roi = measurer.find_roi(photo, picture).roi
    outlined = _seen(measurer, draw.outlined(picture, roi), record["original"])
    panels = [Panel("original", draw.within(outlined, SIDE))]
    for text, setting in settings.items():
        data, decoded = measurer.coded(text, picture, roi, setting)
        row = record["codecs"][text]["settings"][f"{setting:g}"]
        bpp = 8 * len(data) / roi.size
        quality = "nothing found" if "ROI-PSNR" not in row else f"ROI {row['ROI-PSNR']:.1f} dB"
        caption = f"{measurer.codecs[text].name}: {bpp:.3f} bpp, {quality}"
        seen = _seen(measurer, decoded, row["output"])
        panels.append(Panel(caption, draw.within(seen, SIDE)))
    return Row(f"{photo.name}: {record['roi_source']}", panels)


def _seen(measurer: Measurer, picture: Image, output: Record) -> Image:
    """The picture with what the model finds on it."""
    model = measurer.model
    if model.kind == "semantic":
        labels = model.segment(picture)  # type: ignore[attr-defined]
        return draw.classes(picture, labels, model.names)
    found = unpacked(output)
    return draw.boxed(draw.instances(picture, found), draw.labelled(found, model.names))


def lines(report: dict[str, Any]) -> list[str]:
    """The table for people."""
    metric = report["metric"]
    shares = list(report["bits_at"])
    width = max(len(c["name"]) for c in report["codecs"])
    column = max(18, len(f"BD-rate {metric}") + 2, len(f"99 % of {metric}") + 2)
    head = "".join(f"{s + ' % of ' + metric:>{column}}" for s in shares)
    text = [f"bits per pixel needed for a share of the uncompressed {metric}:"]
    text.append(f"{'':<{width}}{head}{'BD-rate ' + metric:>{column}}{'ROI-PSNR':>12}")
    for codec in report["codecs"]:
        name = codec["name"]
        cells = [_rate(report["bits_at"][s][name]) for s in shares]
        bds = [report["bd"].get(m, {}).get(name) for m in (metric, "ROI-PSNR")]
        text.append(
            f"{name:<{width}}"
            + "".join(f"{cell:>{column}}" for cell in cells)
            + "".join(f"{_percent(v):>{w}}" for v, w in zip(bds, (column, 12), strict=True))
        )
    text.append(f"BD-rates against {report['reference']}; {len(report['failed'])} pictures failed")
    if any(v.get("thin") for m in (metric, "ROI-PSNR") for v in report["bd"].get(m, {}).values()):
        text.append(
            "*: the two curves share less than half of their scores, or over 5 % of the resamples "
            "have no BD-rate; measure more rates"
        )
    if report["unknown_classes"]:
        text.append(f"AP 0, the model does not know them: {', '.join(report['unknown_classes'])}")
    return text + [f"  {name}: {reason}" for name, reason in report["failed"].items()]


def _rate(value: dict[str, Any]) -> str:
    if value["value"] is None:
        return "not reached"
    return f"{'<= ' if value['at_most'] else ''}{value['value']:.3f}"


def _percent(bd: dict[str, Any] | None) -> str:
    if bd is None or bd["value"] is None:
        return "-"
    return f"{bd['value']:+.1f} %{'*' if bd['thin'] else ''}"
