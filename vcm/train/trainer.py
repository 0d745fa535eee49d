"""One step of a training run, and the state that the next one depends on."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor

from vcm.codec.klt import start_from_klt
from vcm.codec.model import RoiHyperprior, Sizes
from vcm.errors import ModelError
from vcm.train import checkpoint, initial, optim
from vcm.train.config import Training
from vcm.train.data import Batch
from vcm.train.health import Health
from vcm.train.parts import freeze_the_rest
from vcm.train.photos import Photo, blocks
from vcm.train.step import PublishedStep, Share, Step, Terms
from vcm.train.task import TaskLoss

_log = logging.getLogger(__name__)
Build = Callable[[Sizes], RoiHyperprior]
SHARED: Final = DistributedDataParallelKwargs(gradient_as_bucket_view=True, broadcast_buffers=False)
PRECISIONS: Final = {"bf16": "bf16", "fp32": "no"}


def processes() -> PartialState:
    """The processes that share the run; the first call of a process decides how they talk.

    By gloo where there is no GPU. The integer networks need float64, so MPS is none.
    """
    return PartialState(cpu=not torch.cuda.is_available())


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
            kwargs_handlers=[SHARED],
        )
        self.step = 0
        self.health = Health(run.folder)
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
            "norm": self.health.norm,
            "loss": self.health.loss,
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint, if this process does and the run is healthy."""
        if self.writes and not self.health.far:
            checkpoint.save(path, self.state())

    def advance(self, data: Batch) -> dict[str, float]:
        """One step; its loss and terms, means over its pictures."""
        self.all.train()
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * optim.learning_rate(self.config.optim, self.step)
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

    def any(self, mine: bool) -> bool:
        """Whether it is so in one of the processes: they stop at the same step."""
        if self.accelerator.num_processes == 1:
            return mine
        told = torch.tensor(float(mine), device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, "sum") > 0)

    def _restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raises ModelError if it is of a model of another size."""
        own = self.all.description()
        if state["sizes"] != own:
            raise ModelError(f"checkpoint has sizes {state['sizes']}, config says {own}")
        self.all.load_state_dict(state["model"])
        factors = [group["factor"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, factor in zip(self.optimiser.param_groups, factors, strict=True):
            group["factor"] = factor  # the config's, which may have changed since
        self.average.restore(state["average"])
        self.step = state["step"]
        self.health.norm, self.health.loss = state["norm"], state["loss"]

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
        """Move the weights, if the run's health allows it."""
        clip = self.config.optim.clip
        norm = float(self.accelerator.clip_grad_norm_(self.all.parameters(), clip))
        if self.health.allows(self.step, loss, norm):
            optim.tame(self.optimiser)
            self.optimiser.step()


def _step(config: Training, build: Build, task: TaskLoss | None) -> Step | PublishedStep:
    """Our model, or a published one if the config names it."""
    if config.published.base:
        return PublishedStep(config, task)
    return Step(build(config.model), config, task)


def _earlier(path: Path) -> dict[str, Any] | None:
    return checkpoint.load(path) if path.exists() else None
