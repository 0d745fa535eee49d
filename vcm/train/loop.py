"""The training loop: a run resumed at any step gives the same result as an unbroken one."""

import copy
import json
import logging
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Event

from torch.utils.data import DataLoader

from vcm import image
from vcm.codec.api import Kind
from vcm.files import held, leftovers, make_folder, write_atomic
from vcm.train.check import check, finder, samples
from vcm.train.config import Training
from vcm.train.data import Batch, Batches
from vcm.train.optim import learning_rate
from vcm.train.photos import Photo, load_photos
from vcm.train.trainer import Trainer, local_processes, processes
from vcm.train.words import words_masks

_log = logging.getLogger(__name__)


def train(
    config: Training,
    kind: Kind | None = None,
    stop: Event | None = None,
    seen: Callable[[int], None] = lambda step: None,
) -> Generator[dict[str, float]]:
    """Train (or go on training) and yield a record of each logged step.

    Records hold the loss and its terms as means over the steps since the last record, seconds per
    step and, every `check_every` steps, bpp and PSNR on held-out pictures. They are appended to
    log.jsonl in the run's folder. A run that is stopped saves its last step as a checkpoint.

    Several processes (`accelerate launch`) share each step's pictures; only the first one writes.

    Args:
        kind: of the codec, for studies; None: the config's.
        stop: when it is set, the run is saved after the current step, and ends.
        seen: called with the number of each finished step.

    Raises:
        SpecError: if there are no pictures.
        OutputError: if another run holds the folder.
        ModelError: if the checkpoint is broken, or the run diverges: the last good checkpoint
            remains.
        KeyboardInterrupt: if it was stopped by `stop`.
    """
    folder = make_folder(Path(config.run.folder))
    state = processes()
    with held(folder) if state.is_main_process else nullcontext():
        yield from _train(config, kind, stop, seen, folder)


def _train(
    config: Training,
    kind: Kind | None,
    stop: Event | None,
    seen: Callable[[int], None],
    folder: Path,
) -> Generator[dict[str, float]]:
    """`train`, in a folder that no other run writes to."""
    state = processes()
    data = words_masks(
        config.data, folder.parent / "words", state.process_index, state.num_processes
    )
    state.wait_for_everyone()  # each process finds the words in a part of the pictures
    own = replace(data, memory=data.memory // local_processes())
    photos, held_out = load_photos(own, folder / "held_out.json")
    trainer = Trainer(config, photos, kind)
    path = folder / "last.ckpt"
    if trainer.step >= config.optim.steps:
        _log.warning(
            "%s: all %d steps are done; to go on, raise optim.steps with run.folder=%s",
            folder, trainer.step, folder,
        )  # fmt: skip
    if trainer.writes:
        leftovers(folder)
        log_until(folder / "log.jsonl", trainer.step)
    try:
        with (folder / "log.jsonl").open("a") as log:
            for record in steps(trainer, photos, held_out, stop, seen):
                if trainer.writes:
                    log.write(json.dumps(record) + "\n")
                    log.flush()
                yield record
    except GeneratorExit:  # the caller takes no more records
        trainer.save(path, last=True)
        raise
    if trainer.step < config.optim.steps:
        raise KeyboardInterrupt
    if trainer.health.ill:
        raise trainer.health.diverged(trainer.step)
    trainer.save(folder / "final.ckpt", last=True)
    trainer.accelerator.end_training()


def steps(
    trainer: Trainer,
    photos: Sequence[Photo],
    held_out: list[Photo],
    stop: Event | None = None,
    seen: Callable[[int], None] = lambda step: None,
) -> Iterator[dict[str, float]]:
    """Train to the last step, or until `stop` is set, saving to last.ckpt; yield the records."""
    config, run = trainer.config, trainer.config.run
    path = Path(run.folder) / "last.ckpt"
    sums: dict[str, float] = {}
    started, count = time.perf_counter(), 0
    for data in _batches(trainer, photos):
        if stop is not None and trainer.any(stop.is_set()):
            trainer.save(path, last=True)
            return
        terms = trainer.advance(data)
        seen(trainer.step)
        sums = {k: sums.get(k, 0.0) + v for k, v in terms.items()}
        count += 1
        ended = trainer.step == config.optim.steps
        due = trainer.step % run.check_every == 0 or ended
        if due or trainer.step % run.log_every == 0:
            seconds = (time.perf_counter() - started) / count
            record = {"step": trainer.step} | {k: v / count for k, v in sums.items()}
            record |= {"seconds": seconds, "lr": learning_rate(config.optim, trainer.step - 1)}
            if due:
                record |= _checked(trainer, held_out)
            sums, started, count = {}, time.perf_counter(), 0
            yield record
        # after the record: resuming drops those of steps after the checkpoint
        if trainer.step % run.save_every == 0 or ended:
            trainer.save(path)


def _batches(trainer: Trainer, photos: Sequence[Photo]) -> Iterable[Batch]:
    """The batches of the remaining steps."""
    config, run = trainer.config, trainer.config.run
    return DataLoader(
        Batches(photos, config.data, run.seed, trainer.own),
        sampler=range(trainer.step, config.optim.steps),
        batch_size=None,
        num_workers=run.workers,
        worker_init_fn=_deaf,
        pin_memory=trainer.accelerator.device.type == "cuda",
    )


def _deaf(worker: int) -> None:
    """Workers ignore signals, which may be sent to all processes: the main one ends its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _checked(trainer: Trainer, held_out: list[Photo]) -> dict[str, float]:
    """Scores of the averaged weights on held-out pictures; some of these are drawn on a sheet."""
    task, config = trainer.all.task, trainer.config
    averaged = copy.deepcopy(trainer.all, {id(task): task}).eval()  # the task model is frozen
    averaged.load_state_dict(trainer.average.values)
    if trainer.writes:
        seen = finder(config.task.model)
        sheet = samples(averaged, held_out, config.data.crop, seen)
        image.write(Path(config.run.folder) / "samples.png", sheet)
    return check(averaged, held_out, config.data.crop, config.data.batch)


def log_until(path: Path, step: int) -> None:
    """Drop the records of steps that a run resumed at `step` repeats."""
    if path.is_file():
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        if kept != lines:
            write_atomic(path, "".join(kept).encode())
