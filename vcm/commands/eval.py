"""`vcm eval`: how many bits does a task model need?"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from vcm.commands.progress import shown
from vcm.commands.splicing import ends
from vcm.dataset import DataSet, load, thinned
from vcm.errors import SpecError
from vcm.evaluate.api import (
    Done,
    Plan,
    Report,
    Track,
    check,
    evaluated,
    prepared,
    to_json,
)
from vcm.evaluate.store import default_folder, writable
from vcm.files import held, make_folder
from vcm.image import AS_USUAL, Reading
from vcm.report.files import write
from vcm.report.text import lines
from vcm.roi.mask import OnEmpty
from vcm.roi.text import parse as parse_words
from vcm.roi.text import task_of
from vcm.scale.pools import pool_of
from vcm.task import TaskSpec, find_task
from vcm.track import log_evaluation, tracked
from vcm.video.clip import Span
from vcm.video.reader import is_clip

__all__ = ["EvalOptions", "lines", "planned", "run", "to_json"]

CODECS: Final = "vcm,vcm:sigma=1,x265,x265+roi"


@dataclass(frozen=True)
class EvalOptions:
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
    device: str = "cpu"
    frames: str | None = None
    every: int = 5

    def check_still(self) -> None:
        """Refuse options that only clips have."""
        if self.frames is not None:
            raise SpecError("--frames is for clips alone; leave it out")

    def check_moving(self) -> None:
        """Refuse options that only photos have."""
        for name in ("only", "photos", "images", "workers", "ray", "cache"):
            if getattr(self, name) is not None:
                raise SpecError(f"--{name} is for photos alone; leave it out")
        if self.reading != AS_USUAL:
            raise SpecError("--exif, --bits and --strict are for photos alone; leave them out")


def bar(done: Iterator[Done], length: int, label: str) -> Iterator[Done]:
    """The same pictures; standard error tells how far they are."""
    return shown(done, length, label)


def run(
    output: Path, options: EvalOptions, say: Callable[[str], None], track: Track = bar
) -> Report:
    """Measure, score and write the folder.

    Args:
        say: is told what is being done.
        track: passes the pictures on and shows how far they are.

    Raises:
        VcmError: if something cannot be had, or the uncompressed score is not the expected one.
    """
    with held(make_folder(output)):
        plan = planned(options, say)
        with _logged(options, plan, output) as wandb_run:
            pool = pool_of(options.workers, options.ray)
            done = evaluated(plan, output, pool, say, track)
            say("drawing")
            write(output, done)
            if wandb_run is not None:
                written = to_json(done.report)
                kept = {k: written[k] for k in ("data", "roi", "command", "commit")}
                wandb_run.config.update(kept)
                log_evaluation(wandb_run, written, output)
    return done.report


def _logged(options: EvalOptions, plan: Plan, output: Path) -> AbstractContextManager[Any]:
    """A W&B run if one is asked for; without an account that is known before any work."""
    if options.wandb is None:
        return nullcontext()
    config = {"task": asdict(plan.task), "model": plan.model}
    return tracked(options.wandb, output.resolve().name, config, output)


def planned(options: EvalOptions, say: Callable[[str], None]) -> Plan:
    """The plan that the options mean; what cannot be is said before any work."""
    task = _task(options)
    pool_of(options.workers, options.ray)  # refuses what cannot be
    model = options.model or _model_of(task)
    codecs = tuple(text.strip() for text in options.codecs.split(",") if text.strip())
    if is_clip(options.data):
        options.check_moving()
        from vcm.evaluate.clips import check_clip, data_of, footage

        span = Span(*ends(options.frames or ":"))
        plan = _plan(options, task, model, codecs, data_of(options.data))
        check_clip(plan)
        left = ("ST-LPIPS, LPIPS and DISTS: not measured on clips",) if options.perceptual else ()
        return replace(plan, footage=footage(options.data, span, options.every), left_out=left)
    options.check_still()
    check(model, codecs, options.reference, options.device)
    plan = prepared(_plan(options, task, model, codecs, _data(options)), options.perceptual)
    for line in (*plan.notes, *(f"left out: {line}" for line in plan.left_out)):
        say(line)
    cache = None if options.no_cache else writable(options.cache or default_folder())
    return replace(plan, cache=cache)


def _plan(
    options: EvalOptions, task: TaskSpec, model: str, codecs: tuple[str, ...], data: DataSet
) -> Plan:
    """The plan that the options describe."""
    return Plan(
        task,
        model,
        data,
        codecs,
        roi=options.roi,
        roi_weights=options.roi_weights,
        on_empty=options.on_empty,
        weights=options.weights,
        reading=options.reading,
        reference=options.reference,
        unchecked=options.unchecked,
        device=options.device,
    )


def _data(options: EvalOptions) -> DataSet:
    data = load(options.data, options.only, options.images)
    return data if options.photos is None else thinned(data, options.photos)


def _task(options: EvalOptions) -> TaskSpec:
    if (options.task is None) == (options.text is None):
        raise SpecError("give either --task or --text: what the model looks for")
    if options.task is not None:
        return find_task(options.task)
    return task_of(parse_words(options.text or ""))


def _model_of(task: TaskSpec) -> str:
    if task.model is None or task.weights is None:
        told = f"task {task.name}" if task.name != "text" else "--text"
        raise SpecError(f"{told} names no model; give one with --model")
    return f"{task.model}:{task.weights}"
