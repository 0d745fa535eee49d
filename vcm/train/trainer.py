"""One step of a training run, and the state that carries over to the next."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from vcm.codec.api import Kind, kind_of
from vcm.errors import SpecError
from vcm.train import checkpoint, initial, optim, resume
from vcm.train.config import Training
from vcm.train.data import Batch, Own
from vcm.train.health import Health
from vcm.train.parts import freeze_the_rest
from vcm.train.photos import Photo, blocks
from vcm.train.step import Share, Step, Terms
from vcm.train.task import TaskLoss

_log = logging.getLogger(__name__)
SHARED: Final = DistributedDataParallelKwargs(gradient_as_bucket_view=True, broadcast_buffers=False)
PRECISIONS: Final = {"bf16": "bf16", "fp32": "no"}


def processes() -> PartialState:
    """The processes that share the run; a process's first call sets up how they communicate.

    With gloo if there is no CUDA GPU. MPS is not used: the integer networks need float64.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def local_processes() -> int:
    """Number of the run's processes on this machine, from torchrun or accelerate."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _warn_if_slow(device: torch.device) -> None:
    """Processors without AVX-512 compute bfloat16 in software: a step took 60 s instead of 5."""
    if device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        _log.warning(
            "this processor has no instructions for bfloat16, which makes a step ten times as "
            "slow: run.precision=fp32 with run.folder=FOLDER trains the same model"
        )


class Trainer:
    """Model, optimiser and averages of one run, from its start or its last checkpoint.

    Args:
        kind: of the codec; None: the config's.
    """

    def __init__(self, config: Training, photos: Sequence[Photo], kind: Kind | None = None):
        self.config = config
        run = config.run
        if config.data.batch % (whole := run.accumulate * processes().num_processes):
            raise SpecError(f"data.batch: expected a multiple of {whole}, got {config.data.batch}")
        kind = kind or kind_of(config.published.base)
        step = kind.imported("step")
        if run.threads:
            torch.set_num_threads(run.threads)
        processes()
        AcceleratorState._reset_state()  # a process may train several models, one after another
        self.accelerator = Accelerator(
            mixed_precision=PRECISIONS[run.precision if step.bf16 else "fp32"],
            gradient_accumulation_steps=run.accumulate,
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=[SHARED],
        )
        if self.accelerator.mixed_precision == "bf16":
            _warn_if_slow(self.accelerator.device)
        self.step = 0
        self.health = Health(run.folder)
        torch.manual_seed(run.seed)
        task = TaskLoss(config.task, self.accelerator.device) if config.task.model else None
        self.all: Step = step(kind.imported("net"), config, task)
        state = _earlier(Path(run.folder) / "last.ckpt")
        if run.initial and state is None:
            initial.adopt(self.all, run.initial, run.learn)
        elif state is None:
            self.all.begin(lambda: blocks(photos, run.seed))
        freeze_the_rest(self.all, self.all.halves()[run.learn])
        if self.all.channels_last:
            self.all.to(memory_format=torch.channels_last)
        self._wrapped, self.optimiser = self.accelerator.prepare(
            self.all, optim.make(self.all, config.optim)
        )
        self.average = checkpoint.Average(self.all, config.optim.average)
        if state is not None:
            self._restore(state)
        resume.check_together(self.accelerator, self.step, run.folder)

    @property
    def own(self) -> Own:
        """Which of a step's pictures are this process's."""
        return Own(self.accelerator.process_index, self.accelerator.num_processes)

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
            "far": self.health.far,
            "config": resume.described(self.config),
        }

    def save(self, path: Path, last: bool = False) -> None:
        """Write a checkpoint, if this process writes and the run is healthy.

        Args:
            last: the run ends here, so save even after a few losses far above the usual.
        """
        if self.writes and not (self.health.ill if last else self.health.far):
            checkpoint.save(path, self.state())

    def advance(self, data: Batch) -> dict[str, float]:
        """Make one step; returns its loss and terms, means over its pictures.

        Args:
            data: this process's part of the step's pictures, see `own`.
        """
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
        """Whether `mine` is true in any process, so that all stop at the same step."""
        if self.accelerator.num_processes == 1:
            return mine
        own = torch.tensor(float(mine), device=self.accelerator.device)
        return bool(self.accelerator.reduce(own, "sum") > 0)

    def _restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raises ModelError if it is of another model or trained parts."""
        same_loss = resume.checked(state, self.config, self.all.description())
        self.all.load_state_dict(state["model"])
        optim.restore(self.optimiser, state["optimiser"])
        self.average.restore(state["average"])
        self.step = state["step"]
        if same_loss:  # else the usual values no longer apply
            self.health.norm, self.health.loss = state["norm"], state["loss"]
            self.health.far = state.get("far", 0)

    def _parts(self, data: Batch) -> list[tuple[Batch, Share]]:
        """This process's pictures, in `[run] accumulate` parts."""
        own, pieces = self.own, self.config.run.accumulate
        size, first = len(data.x) // pieces, own.number * len(data.x)
        # hashed: parts add the number of their first picture, which must not give another step's
        seed = int(np.random.SeedSequence((self.config.run.seed, self.step)).generate_state(1)[0])
        device = self.accelerator.device
        parts = zip(*(torch.split(t, size) for t in data), strict=True)
        shares = (Share(first + i * size, own.of * len(data.x), seed) for i in range(pieces))
        return [
            (Batch(*(t.to(device) for t in part)), share)
            for part, share in zip(parts, shares, strict=True)
        ]

    def _move(self, loss: float) -> None:
        """Update the weights, if the run's health allows it."""
        clip = self.config.optim.clip
        norm = float(self.accelerator.clip_grad_norm_(self.all.parameters(), clip))
        if self.health.allows(self.step, loss, norm):
            optim.tame(self.optimiser)
            self.optimiser.step()


def _earlier(path: Path) -> dict[str, Any] | None:
    return checkpoint.load(path) if path.exists() else None
