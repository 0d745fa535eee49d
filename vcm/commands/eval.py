"""`vcm eval`: how many bits does a task model need?"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from vcm.coco import truth
from vcm.coco.places import PicturesMissing
from vcm.commands.eval_files import write
from vcm.commands.progress import shown
from vcm.dataset import DataSet, load, thinned
from vcm.errors import SpecError
from vcm.evaluate import run as pictures
from vcm.evaluate.codecs import parse
from vcm.evaluate.measure import Measurer, available
from vcm.evaluate.plan import Plan
from vcm.evaluate.result import (
    check_expected,
    nothing_measured,
    oddities,
    reference_of,
    result,
    uncompressed,
)
from vcm.evaluate.store import default_folder, writable
from vcm.files import held, make_folder
from vcm.image import AS_USUAL, Reading
from vcm.metrics.learned import NAMES as PERCEPTUAL
from vcm.models import check_name
from vcm.roi.mask import OnEmpty
from vcm.roi.text import parse as parse_words
from vcm.scale.pools import pool_of
from vcm.scale.work import kept
from vcm.task import TaskSpec, find_task
from vcm.track import log_evaluation, tracked

CODECS: Final = "vcm,vcm:sigma=1,x265,x265+roi"
Track = Callable[[Iterator[pictures.Done], int, str], Iterator[pictures.Done]]


@dataclass(frozen=True)
class Options:
    """The options of the command line, and one more.

    Attributes:
        reading: --exif, --bits and --strict.
        perceptual: whether ST-LPIPS, LPIPS and DISTS are measured; the weights of the last two may
            have to be downloaded.
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
    images: Path | None = None
    reading: Reading = AS_USUAL


def bar(done: Iterator[pictures.Done], length: int, label: str) -> Iterator[pictures.Done]:
    """The same pictures; standard error tells how far they are."""
    return shown(done, length, label)


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
    with held(make_folder(output)):
        plan = planned(options, say)
        with _logged(options, plan, output) as wandb_run:
            report = _run(output, options, plan, say, track)
            if wandb_run is not None:
                wandb_run.config.update(
                    {k: report[k] for k in ("data", "roi", "command", "commit")}
                )
                log_evaluation(wandb_run, report, output)
    return report


def _run(
    output: Path, options: Options, plan: Plan, say: Callable[[str], None], track: Track
) -> dict[str, Any]:
    """The same in a folder that no other evaluation writes to."""
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
        if not records:
            raise nothing_measured(failed)
        for line in oddities(records.values()):
            say(line)
        scores = uncompressed(plan, measurer.model, records)
        if not options.unchecked:
            say(check_expected(plan, scores))
        measure(plan, "coding and looking")
    records = pictures.records(plan, folder)
    reference = options.reference
    report = result(plan, measurer.model, measurer.codecs, records, reference, say, failed)
    report["roi"]["networks"] = list(measurer.networks)
    say("drawing")
    write(output, report, measurer, records)
    return report


def _logged(options: Options, plan: Plan, output: Path) -> AbstractContextManager[Any]:
    """A W&B run if one is asked for; without an account that is known before any work."""
    if options.wandb is None:
        return nullcontext()
    config = {"task": asdict(plan.task), "model": plan.model}
    return tracked(options.wandb, output.resolve().name, config, output)


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
    data = _data(options)
    notes = data.notes
    if data.annotations is not None:
        notes += truth.read(data.annotations).notes
    perceptual, lines = available(PERCEPTUAL if options.perceptual else ())
    for line in (*notes, *(f"left out: {line}" for line in lines)):
        say(line)
    cache = None if options.no_cache else writable(options.cache or default_folder())
    roi = options.roi, options.roi_weights, options.on_empty
    plan = Plan(task, model, data, codecs, *roi, options.weights, cache, perceptual, tuple(lines))
    return replace(plan, reading=options.reading, notes=notes)


def _data(options: Options) -> DataSet:
    try:
        data = load(options.data, options.only, options.images)
    except PicturesMissing as error:
        raise SpecError(f"{error} with --images") from error
    return data if options.photos is None else thinned(data, options.photos)


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
    text += [f"  {name}: {reason}" for name, reason in report["failed"].items()]
    return [*text, *report["notes"]]


def _rate(value: dict[str, Any]) -> str:
    if value["value"] is None:
        return "not reached"
    return f"{'<= ' if value['at_most'] else ''}{value['value']:.3f}"


def _percent(bd: dict[str, Any] | None) -> str:
    if bd is None or bd["value"] is None:
        return "-"
    return f"{bd['value']:+.1f} %{'*' if bd['thin'] else ''}"
