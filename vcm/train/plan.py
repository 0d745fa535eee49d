"""What a training would do, without doing it: `vcm train --dry-run`."""

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from vcm.dataset import pictures
from vcm.train import checkpoint
from vcm.train.config import Training
from vcm.train.data import batch
from vcm.train.photos import Photo, load_photos
from vcm.train.trainer import Trainer
from vcm.train.words import check_words

UNIT: Final = 2**20 if sys.platform == "darwin" else 2**10  # of `ru_maxrss`, per MiB
STEPS: Final = 3  # timed steps, after one to warm up


def plan(config: Training) -> dict[str, Any]:
    """Pictures, parameters, steps, seconds per step and memory; leaves nothing on disk.

    Does not include the time to find words in the pictures, and for the checks.

    Raises:
        VcmError: whatever a new training would raise at its start.
    """
    check_words(config.data)
    photos, held_out = load_photos(config.data)
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = replace(config, run=replace(config.run, folder=folder))
        trainer = Trainer(elsewhere, photos)
        seconds = _timed(trainer, elsewhere, photos)
    steps = config.optim.steps
    done = checkpoint.step_of(Path(config.run.folder) / "last.ckpt")
    learning = [p.numel() for p in trainer.all.parameters() if p.requires_grad]
    total = sum(1 for _ in pictures(config.data.photos))
    return {
        "pictures": f"{len(photos)} to learn from, {len(held_out)} held out, "
        f"{total - len(photos) - len(held_out)} skipped (broken or under {config.data.crop} px)",
        "learns": f"{sum(learning) / 1e6:.1f} M parameters ({config.run.learn})",
        "task loss": config.task.model or "none",
        "steps": steps if not done else f"{steps}, resumed at {done}",
        "seconds per step": seconds,
        "hours": (steps - done) * seconds / 3600,
        "memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // UNIT,
        **_device_memory(),
        "device": str(trainer.accelerator.device),
        "processes": trainer.accelerator.num_processes,
    }


def _timed(trainer: Trainer, config: Training, photos: Sequence[Photo]) -> float:
    """Mean seconds per step."""
    for number in range(STEPS + 1):
        if number == 1:
            started = time.perf_counter()
        trainer.advance(batch(photos, config.data, config.run.seed, number, trainer.own))
    return (time.perf_counter() - started) / STEPS


def _device_memory() -> dict[str, Any]:
    """Memory taken on the GPU, if there is one."""
    if not torch.cuda.is_available():
        return {}
    return {"memory of the GPU, MiB": torch.cuda.max_memory_allocated() // 2**20}
