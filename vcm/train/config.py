"""The config of a training run: the tables of a TOML file, with defaults."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from vcm import toml
from vcm.codec.models.loss import LMBDA
from vcm.codec.models.published import Preset
from vcm.codec.models.sizes import Sizes
from vcm.errors import SpecError
from vcm.train.parts import Learn
from vcm.train.photos import Data
from vcm.train.task import Task


@dataclass(frozen=True)
class Loss:
    """[loss] lmbda at quality 0 and 100, CompressAI's convention; log-spaced between."""

    lmbda_low: float = LMBDA[0]
    lmbda_high: float = LMBDA[1]

    def __post_init__(self) -> None:
        if not 0 < self.lmbda_low <= self.lmbda_high:
            raise SpecError(
                f"lmbda: expected 0 < low <= high, got {self.lmbda_low} and {self.lmbda_high}"
            )


@dataclass(frozen=True)
class Optim:
    """[optim] Adam with warm-up, a flat part and a cosine decay to zero.

    Attributes:
        steps: length of the whole run.
        lr: peak learning rate.
        decay_from: fraction of the steps after which the rate decays.
        slow: factor on the rate of the linear transforms and the gains, which spike otherwise.
        deep: factor on the rate of the deepest part of g_a.
        clip: largest norm of the gradient.
        average: decay of the moving average of the weights.
    """

    steps: int = 60_000
    lr: float = 4e-4
    warmup: int = 250
    decay_from: float = 0.5
    slow: float = 0.1
    deep: float = 0.5
    clip: float = 1.0
    average: float = 0.9995

    def __post_init__(self) -> None:
        for key in ("steps", "warmup"):
            if getattr(self, key) < 1:
                raise SpecError(f"{key}: expected 1 or more, got {getattr(self, key)}")
        for key in ("lr", "slow", "deep", "clip"):
            if not getattr(self, key) > 0:
                raise SpecError(f"{key}: expected more than 0, got {getattr(self, key)}")
        for key in ("decay_from", "average"):
            if not 0 <= getattr(self, key) <= 1:
                raise SpecError(f"{key}: expected 0 to 1, got {getattr(self, key)}")


@dataclass(frozen=True)
class Run:
    """[run] where and how.

    Attributes:
        folder: for checkpoints and logs; if it has a checkpoint, that run is resumed.
        initial: weights to start from, "" for none: a checkpoint, a weight file or the name of a
            built-in model; its networks may be smaller.
        learn: "all", only the "encoder" (existing decoders still read its files), or only the
            "decoder".
        accumulate: parts that a step's pictures are split into, to need less memory.
        precision: "bf16" or "fp32". Published codecs always use fp32.
        wandb: W&B project that the run is logged to, "" for none.
        threads: torch's CPU threads, 0 = its own choice.
        workers: processes that prepare pictures, so that a GPU need not wait for them.
    """

    folder: str = "runs/base"
    initial: str = ""
    seed: int = 0
    learn: Learn = "all"
    accumulate: int = 1
    precision: Literal["bf16", "fp32"] = "bf16"
    wandb: str = ""
    threads: int = 0
    workers: int = 0
    log_every: int = 100
    check_every: int = 1_000
    save_every: int = 500

    def __post_init__(self) -> None:
        for key in ("accumulate", "log_every", "check_every", "save_every"):
            if getattr(self, key) < 1:
                raise SpecError(f"{key}: expected 1 or more, got {getattr(self, key)}")
        for key in ("seed", "threads", "workers"):
            if getattr(self, key) < 0:
                raise SpecError(f"{key}: expected 0 or more, got {getattr(self, key)}")


# Keys that do not change what is learnt: what is logged, and how it is computed.
UNTOLD: Final = ("run.wandb", "run.threads", "run.workers", "run.log_every", "run.check_every",
                 "run.save_every", "data.memory")  # fmt: skip


def load(path: Path, changes: Sequence[str] = ()) -> "Training":
    """The config in a TOML file with "table.key=value" changes.

    The changes, except those of `UNTOLD`, are appended to the run's folder, unless they set it.

    Raises:
        SpecError: if the file or a change is not a valid config.
    """
    config = toml.load(path, Training, changes)
    if not changes or any(change.startswith("run.folder=") for change in changes):
        return config
    named = [change for change in changes if change.partition("=")[0] not in UNTOLD]
    if not named:
        return config
    suffix = re.sub(r"[^\w.=-]+", "_", ",".join(named))
    folder = f"{config.run.folder}-{suffix}"
    return replace(config, run=replace(config.run, folder=folder))


@dataclass(frozen=True)
class Training:
    """A training config: configs/*.toml hold what differs from these defaults."""

    model: Sizes = field(default_factory=Sizes)
    published: Preset = field(default_factory=Preset)
    data: Data = field(default_factory=Data)
    loss: Loss = field(default_factory=Loss)
    task: Task = field(default_factory=Task)
    optim: Optim = field(default_factory=Optim)
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        if self.run.learn != "all" and not (self.run.initial or self.published.pretrained):
            raise SpecError(
                f"run.learn={self.run.learn}: the other half must have been trained; name weights "
                f"to start from, such as run.initial=base"
            )
