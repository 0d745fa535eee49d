"""The training loop: resumable at any step, equal to a run that was never broken."""

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Final

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.utils.data import DataLoader

from vcm import image
from vcm.codec.klt import start_from_klt
from vcm.codec.model import RoiHyperprior, Sizes
from vcm.errors import ModelError
from vcm.files import leftovers, write_atomic
from vcm.train import checkpoint, initial, optim
from vcm.train.check import check, finder, samples
from vcm.train.config import Optim, Training
from vcm.train.data import Batch, Batches
from vcm.train.parts import freeze_the_rest
from vcm.train.photos import Photo, blocks, load_photos, words_masks
from vcm.train.step import PublishedStep, Share, Step, Terms
from vcm.train.task import TaskLoss

_log = logging.getLogger(__name__)
Build = Callable[[Sizes], RoiHyperprior]
# Of the gradient, times its usual norm: one like this can undo a thousand steps, so it is left out.
OUTLIER: Final = 10.0
# Steps in a row whose loss is so many times the usual one: the run has diverged.
DIVERGED, FAR = 50, 3.0
PRECISIONS: Final = {"bf16": "bf16", "fp32": "no"}


def processes() -> PartialState:
    """The processes that share the run; the first call of a process decides how they talk.

    By gloo where there is no GPU. The integer networks need float64, so MPS is none.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def train(
    config: Training, build: Build = RoiHyperprior, stop: Event | None = None
) -> Generator[dict[str, float]]:
    """Train (or go on training) and yield a record of each logged step.

    Records hold the loss and its terms as means over the steps since the last one, seconds per
    step and, now and then, bpp and PSNR on held-out pictures. They are appended to log.jsonl in the
    run's folder. A run that is stopped leaves its last step as a checkpoint.

    Several processes (`accelerate launch`) share each step's pictures; only the first one writes.

    Args:
        build: the model of given sizes, for studies of another one.
        stop: when it is set the run is saved after the step that it is in, and ends.

    Raises:
        SpecError: if there are no pictures.
        ModelError: if the checkpoint is broken, or the run diverges: the last checkpoint before
            that remains.
        KeyboardInterrupt: if it was stopped by `stop`.
    """
    folder = Path(config.run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with processes().main_process_first():  # the others find the masks made
        data = words_masks(config.data, folder.parent / "words")
    photos, held_out = load_photos(data)
    trainer = Trainer(config, photos, build)
    path = folder / "last.ckpt"
    if trainer.writes:
        leftovers(folder)
        log_until(folder / "log.jsonl", trainer.step)
    try:
        with (folder / "log.jsonl").open("a") as log:
            for record in trainer.steps(photos, held_out, path, stop):
                if trainer.writes:
                    log.write(json.dumps(record) + "\n")
                    log.flush()
                yield record
    except GeneratorExit:  # whoever takes the records stops
        trainer.save(path)
        raise
    if trainer.step < config.optim.steps:
        raise KeyboardInterrupt
    if trainer.far:
        raise trainer.diverged()
    trainer.save(folder / "final.ckpt")
    trainer.accelerator.end_training()


class Trainer:
    """Model, optimiser and averages of one run, at its start or where it was stopped."""

    def __init__(self, config: Training, photos: Sequence[Photo], build: Build = RoiHyperprior):
        self.config = config
        run = config.run
        if run.threads:
            torch.set_num_threads(run.threads)
        processes()
        AcceleratorState._reset_state()  # a process may train one model after another
        self.accelerator = Accelerator(
            mixed_precision=PRECISIONS["fp32" if config.published.base else run.precision],
            gradient_accumulation_steps=run.accumulate,
            cpu=not torch.cuda.is_available(),
        )
        self.step = 0
        self.norm = self.loss = math.inf  # running means of the gradient's norm and of the loss
        self.far = 0  # steps in a row with a loss that is far from usual
        torch.manual_seed(run.seed)
        task = TaskLoss(config.task, self.accelerator.device) if config.task.model else None
        self.all = _step(config, build, task)
        state = _earlier(Path(run.folder) / "last.ckpt")
        if run.initial and state is None:
            self._adopt(initial.tensors(run.initial))
        elif state is None and isinstance(self.all, Step):
            start_from_klt(self.all.model, blocks(photos, run.seed))
        freeze_the_rest(self.all, run.learn)
        if isinstance(self.all, Step):  # cheng2020-anchor so crashes torch 2.14's oneDNN
            self.all.to(memory_format=torch.channels_last)
        self._wrapped, self.optimiser = self.accelerator.prepare(
            self.all, optim.make(self.all, config.optim)
        )
        self.average = checkpoint.Average(self.all, config.optim.average)
        if state is not None:
            self._restore(state)

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes files."""
        return bool(self.accelerator.is_main_process)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "step": self.step,
            "sizes": self.all.description(),
            "model": self.all.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
            "norm": self.norm,
            "loss": self.loss,
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint, if this process does and the run is healthy."""
        if self.writes and not self.far:
            checkpoint.save(path, self.state())

    def diverged(self, loss: float = math.nan) -> ModelError:
        """What is said of a run whose loss has left what was usual."""
        return ModelError(
            f"step {self.step}: the loss is {loss:.3g}, usual is {self.loss:.3g}: the run has "
            f"diverged; the same command with a lower optim.lr and "
            f"run.folder={self.config.run.folder} goes on from the last checkpoint"
        )

    def _restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raises ModelError if it is of a model of another size."""
        own = self.all.description()
        if state["sizes"] != own:
            raise ModelError(f"checkpoint has sizes {state['sizes']}, config says {own}")
        self.all.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.restore(state["average"])
        self.step, self.norm, self.loss = state["step"], state["norm"], state["loss"]

    def _adopt(self, given: dict[str, Tensor]) -> None:
        """Begin with the weights of another model, see `initial.tensors`.

        Where transforms, context or hidden layers are wider here, they compute what they did there.
        Logs what is not there at all.

        Raises:
            ModelError: if the other model is larger somewhere, or another one altogether.
        """
        own = self.all.state_dict()
        known = own.keys() & given.keys()
        if not known:
            raise ModelError(f"{self.config.run.initial}: holds nothing of the model to be trained")
        self.all.load_state_dict(own | {k: checkpoint.grown(given[k], own[k]) for k in known})
        fresh = ", ".join(sorted(own.keys() - known)) or "none"
        _log.info("%d tensors taken over, new: %s", len(known), fresh)

    def steps(
        self,
        photos: Sequence[Photo],
        held_out: list[Photo],
        path: Path,
        stop: Event | None = None,
    ) -> Iterator[dict[str, float]]:
        """Train to the last step or until told to stop, saving to `path`; yield the records."""
        run, total = self.config.run, self.config.optim.steps
        sums: dict[str, float] = {}
        started, count = time.perf_counter(), 0
        for data in self._batches(photos):
            if stop is not None and self._any(stop.is_set()):
                self.save(path)
                return
            terms = self.advance(data)
            sums = {k: sums.get(k, 0.0) + v for k, v in terms.items()}
            count += 1
            ended = self.step == total
            if self.step % run.save_every == 0 or ended:
                self.save(path)
            if self.step % run.log_every == 0 or ended:
                seconds = (time.perf_counter() - started) / count
                record = {"step": self.step} | {k: v / count for k, v in sums.items()}
                record |= {"seconds": seconds, "lr": learning_rate(self.config.optim, self.step)}
                if self.step % run.check_every == 0 or ended:
                    record |= self._checked(held_out, path.with_name("samples.png"))
                sums, started, count = {}, time.perf_counter(), 0
                yield record

    def _any(self, mine: bool) -> bool:
        """Whether it is so in one of the processes: they stop at the same step."""
        if self.accelerator.num_processes == 1:
            return mine
        told = torch.tensor(float(mine), device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, "sum") > 0)

    def _batches(self, photos: Sequence[Photo]) -> Iterable[Batch]:
        """What is left of the run, batch by batch."""
        run = self.config.run
        return DataLoader(
            Batches(photos, self.config.data, run.seed),
            sampler=range(self.step, self.config.optim.steps),
            batch_size=None,
            num_workers=run.workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )

    def _checked(self, held_out: list[Photo], sheet: Path) -> dict[str, float]:
        """Numbers on held-out pictures, and some of these on a sheet; by the averaged weights."""
        averaged = copy.deepcopy(self.all).eval()
        averaged.load_state_dict(self.average.values)
        if self.writes:
            side, seen = self.config.data.crop, finder(self.config.task.model)
            image.write(sheet, samples(averaged, held_out, side, seen))
        return check(averaged, held_out, self.config.data.crop)

    def advance(self, data: Batch) -> dict[str, float]:
        """One step; its loss and terms, means over its pictures."""
        self.all.train()
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * learning_rate(self.config.optim, self.step)
        self.optimiser.zero_grad()
        sums = torch.zeros(len(Terms._fields), device=self.accelerator.device)
        parts = self._parts(data)
        for part, share in parts:
            with self.accelerator.accumulate(self._wrapped):
                terms = self._wrapped(part, share)
                self.accelerator.backward(terms.loss)
                sums += torch.stack([t.detach() for t in terms]) / len(parts)
                if self.accelerator.sync_gradients:
                    means = self.accelerator.reduce(sums, "mean")
                    self._move(float(means[0]))
        self.step += 1
        self.average.update(self.all, self.step)
        return dict(zip(Terms._fields, means.tolist(), strict=True))

    def _parts(self, data: Batch) -> list[tuple[Batch, Share]]:
        """This process's pictures, in as many parts as gradients are accumulated over."""
        whole, pieces = len(data.x), self.config.run.accumulate * self.accelerator.num_processes
        if whole % pieces:
            raise ModelError(f"data.batch: expected a multiple of {pieces}, got {whole}")
        size = whole // pieces
        first = self.accelerator.process_index * self.config.run.accumulate
        seed = self.config.run.seed * 1_000_003 + self.step
        slices = [slice(i * size, (i + 1) * size) for i in range(first, first + pieces)]
        slices = slices[: self.config.run.accumulate]
        device = self.accelerator.device
        return [
            (Batch(*(t[s].to(device) for t in data)), Share(s.start, whole, seed)) for s in slices
        ]

    def _move(self, loss: float) -> None:
        """Move the weights, unless the gradient is an outlier.

        Raises:
            ModelError: if the run has diverged.
        """
        clip = self.config.optim.clip
        norm = float(self.accelerator.clip_grad_norm_(self.all.parameters(), clip))
        self.far = self.far + 1 if not loss <= FAR * self.loss else 0
        if self.far >= DIVERGED or not math.isfinite(norm):
            raise self.diverged(loss)
        if norm <= OUTLIER * self.norm:
            optim.tame(self.optimiser)
            self.optimiser.step()
        else:
            _log.warning("step %d left out: gradient %.2g, usual %.2g", self.step, norm, self.norm)
        self.norm = _running(self.norm, norm, OUTLIER)
        if not self.far:  # else what is wrong would become usual
            self.loss = _running(self.loss, loss, FAR)


def _step(config: Training, build: Build, task: TaskLoss | None) -> Step | PublishedStep:
    """Our model, or a published one if the config names it."""
    if config.published.base:
        return PublishedStep(config, task)
    return Step(build(config.model), config, task)


def log_until(path: Path, step: int) -> None:
    """Drop the records of steps that a run resumed at `step` does again."""
    if path.is_file():
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        if kept != lines:
            write_atomic(path, "".join(kept).encode())


def _earlier(path: Path) -> dict[str, Any] | None:
    return checkpoint.load(path) if path.exists() else None


def _running(mean: float, value: float, most: float) -> float:
    """A mean over some hundred steps that follows outliers slowly: what stays becomes usual."""
    return value if math.isinf(mean) else 0.99 * mean + 0.01 * min(value, most * mean)


def learning_rate(config: Optim, step: int) -> float:
    """Linear warm-up, flat, then half a cosine to zero at the last step."""
    start = config.decay_from * config.steps
    progress = max(0.0, (step - start) / max(1.0, config.steps - start))
    warm = min(1.0, (step + 1) / config.warmup)
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * progress))
