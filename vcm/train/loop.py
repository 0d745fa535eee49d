"""The training loop: resumable at any step, equal to a run that was never broken."""

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vcm.codec.klt import start_from_klt
from vcm.codec.loss import bpp_est, distortion_weights, lmbda_of, rate_distortion, weighted_mse
from vcm.codec.model import RoiHyperprior, Sizes
from vcm.codec.rate import Rate
from vcm.errors import ModelError
from vcm.train import checkpoint, initial, optim
from vcm.train.config import Loss, Optim, Training
from vcm.train.data import Batch, Photo, batch, load_photos

_log = logging.getLogger(__name__)
Build = Callable[[Sizes], RoiHyperprior]
# Of the gradient, times its usual norm: one like this can undo a thousand steps, so it is left out.
OUTLIER = 10.0
# Steps in a row whose loss is so many times the usual one: the run has diverged.
DIVERGED, FAR = 50, 3.0


def train(config: Training, build: Build = RoiHyperprior) -> Iterator[dict[str, float]]:
    """Train (or go on training) and yield a record of each logged step.

    Records hold loss, bpp and mse of the steps since the last one, seconds per step and, now and
    then, bpp and PSNR on held-out pictures. They are appended to log.jsonl in the run's folder.

    Args:
        build: the model of given sizes, for studies of another one.

    Raises:
        SpecError: if there are no pictures.
        ModelError: if the checkpoint is broken, or the loss is not a number: the last checkpoint
            before that remains.
    """
    folder = Path(config.run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    photos, held_out = load_photos(config.data)
    trainer = Trainer(config, photos, build)
    path = folder / "last.ckpt"
    if path.exists():
        trainer.restore(checkpoint.load(path))
    elif config.run.initial:
        trainer.adopt(initial.tensors(config.run.initial))
    with (folder / "log.jsonl").open("a") as log:
        for record in trainer.steps(photos, held_out, path):
            log.write(json.dumps(record) + "\n")
            log.flush()
            yield record
    checkpoint.save(folder / "final.ckpt", trainer.state())


class Trainer:
    """Model, optimiser and averages of one run."""

    def __init__(self, config: Training, photos: list[Photo], build: Build = RoiHyperprior):
        self.config = config
        self.step = 0
        torch.manual_seed(config.run.seed)
        self.model = build(config.model)
        self.rate = Rate(config.model.Z)
        start_from_klt(self.model, _blocks(photos, config.run.seed))
        self.model.to(memory_format=torch.channels_last)
        self.all = nn.ModuleDict({"model": self.model, "rate": self.rate})
        self.optimiser = optim.make(self.all, config.optim)
        self.average = checkpoint.Average(self.all, config.optim.average)
        self.norm = self.loss = math.inf  # running means of the gradient's norm and of the loss
        self.far = 0  # steps in a row with a loss that is far from usual

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "step": self.step,
            "sizes": self.model.config(),
            "model": self.all.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
            "norm": self.norm,
            "loss": self.loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; raises ModelError if it is of a model of another size."""
        if state["sizes"] != self.model.config():
            raise ModelError(
                f"checkpoint has sizes {state['sizes']}, config says {self.model.config()}"
            )
        self.all.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.values = state["average"]
        self.step, self.norm, self.loss = state["step"], state["norm"], state["loss"]

    def adopt(self, given: dict[str, Tensor]) -> None:
        """Begin with the weights of another model, see `initial.tensors`.

        Where transforms, context or hidden layers are wider here, they compute what they did there.
        Logs what is not there at all.

        Raises:
            ModelError: if the other model is larger somewhere.
        """
        own = self.all.state_dict()
        known = own.keys() & given.keys()
        self.all.load_state_dict(own | {k: checkpoint.grown(given[k], own[k]) for k in known})
        self.average = checkpoint.Average(self.all, self.config.optim.average)
        fresh = ", ".join(sorted(own.keys() - known)) or "none"
        _log.info("%d tensors taken over, new: %s", len(known), fresh)

    def steps(
        self, photos: list[Photo], held_out: list[Photo], path: Path
    ) -> Iterator[dict[str, float]]:
        """Train to the last step, saving to `path`; yield the records."""
        run, total = self.config.run, self.config.optim.steps
        sums, started = np.zeros(3), time.perf_counter()
        while self.step < total:
            sums += self.advance(batch(photos, self.config.data, run.seed, self.step))
            if (self.step % run.save_every == 0 or self.step == total) and not self.far:
                checkpoint.save(path, self.state())
            if self.step % run.log_every == 0 or self.step == total:
                count = (self.step - 1) % run.log_every + 1
                loss, bpp, mse = sums / count
                seconds = (time.perf_counter() - started) / count
                record = {
                    "step": self.step,
                    "loss": loss,
                    "bpp": bpp,
                    "mse": mse,
                    "seconds": seconds,
                }
                if self.step % run.check_every == 0 or self.step == total:
                    record |= self.check(held_out)
                sums, started = np.zeros(3), time.perf_counter()
                yield record

    def advance(self, data: Batch) -> tuple[float, float, float]:
        """One step; its loss, bpp and masked mse."""
        config = self.config
        torch.manual_seed(config.run.seed * 1_000_003 + self.step)  # the noise of quantisation
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * learning_rate(config.optim, self.step)
        self.all.train()
        loss, bpp, mse = self.losses(data)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._step(loss.item())
        self.step += 1
        self.average.update(self.all, self.step)
        return loss.item(), bpp.mean().item(), mse.mean().item()

    def _step(self, loss: float) -> None:
        """Move the weights, unless the gradient is an outlier.

        Raises:
            ModelError: if the run has diverged.
        """
        norm = nn.utils.clip_grad_norm_(self.all.parameters(), self.config.optim.clip).item()
        self.far = self.far + 1 if not loss <= FAR * self.loss else 0
        if self.far >= DIVERGED or not math.isfinite(norm):
            raise ModelError(
                f"step {self.step}: the loss is {loss:.3g}, usual is {self.loss:.3g}: the run has "
                f"diverged; lower optim.lr, and the same command goes on from the last checkpoint"
            )
        if norm <= OUTLIER * self.norm:
            optim.tame(self.optimiser)
            self.optimiser.step()
        else:
            _log.warning("step %d left out: gradient %.2g, usual %.2g", self.step, norm, self.norm)
        self.norm = _running(self.norm, norm, OUTLIER)
        self.loss = _running(self.loss, loss, FAR)

    def losses(self, data: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (), bpp (B,) and masked mse (B,)."""
        terms: Loss = self.config.loss
        x = data.x
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.run.precision == "bf16"):
            coded = self.model(x, data.m, data.hundredths)
            bpp = bpp_est(self.rate(coded), x[0, 0].numel())
        mse = weighted_mse(coded.x_hat, x, distortion_weights(data.m))
        lmbda = lmbda_of(data.hundredths, terms.lmbda_low, terms.lmbda_high)
        middle = (terms.lmbda_low * terms.lmbda_high) ** 0.5
        return rate_distortion(bpp, mse, lmbda, middle), bpp, mse

    @torch.no_grad()
    def check(self, held_out: list[Photo]) -> dict[str, float]:
        """bpp and PSNR of the averaged weights on centre crops, by quality, even and as ROI."""
        averaged = copy.deepcopy(self.all).eval()
        averaged.load_state_dict(self.average.values)
        model, rate = averaged["model"], averaged["rate"]
        side = self.config.data.crop
        x = torch.stack([_centre(photo.pixels, side) for photo in held_out])
        roi = torch.zeros(1, 1, side, side, dtype=torch.bool)
        roi[..., side // 4 : -side // 4, side // 4 : -side // 4] = True
        record = {}
        for quality in (0, 25, 50, 75, 100):
            for sigma in (1.0, 0.1):
                m = torch.where(roi, 1.0, sigma).expand(len(x), -1, -1, -1)
                coded = model(x, m, torch.full((len(x),), quality * 100))
                error = (coded.x_hat.clamp(0, 1) - x).square()
                name = f"q{quality}_s{sigma}"
                record[f"{name}_bpp"] = bpp_est(rate(coded), side * side).mean().item()
                record[f"{name}_psnr"] = _psnr(error[..., roi[0, 0]])
                record[f"{name}_bg"] = _psnr(error[..., ~roi[0, 0]])
        return record


def _running(mean: float, value: float, most: float) -> float:
    """A mean over some hundred steps that follows outliers slowly: what stays becomes usual."""
    return value if math.isinf(mean) else 0.99 * mean + 0.01 * min(value, most * mean)


def learning_rate(config: Optim, step: int) -> float:
    """Linear warm-up, flat, then half a cosine to zero at the last step."""
    start = config.decay_from * config.steps
    progress = max(0.0, (step - start) / max(1.0, config.steps - start))
    return (
        config.lr * min(1.0, (step + 1) / config.warmup) * 0.5 * (1 + math.cos(math.pi * progress))
    )


def _blocks(photos: list[Photo], seed: int, count: int = 40_000) -> Tensor:
    """Random 16x16 blocks: (count, 3, 16, 16) float32 in [-0.5, 0.5]."""
    rng = np.random.default_rng(seed)
    picks = []
    for index in rng.integers(len(photos), size=count):
        pixels = photos[index].pixels
        top, left = (rng.integers(n - 15) for n in pixels.shape[:2])
        picks.append(pixels[top : top + 16, left : left + 16])
    return torch.from_numpy(np.stack(picks)).permute(0, 3, 1, 2).float() / 255 - 0.5


def _centre(pixels: np.ndarray[Any, Any], side: int) -> Tensor:
    top, left = ((n - side) // 2 for n in pixels.shape[:2])
    return (
        torch.from_numpy(pixels[top : top + side, left : left + side]).permute(2, 0, 1).float()
        / 255
    )


def _psnr(error: Tensor) -> float:
    """Mean over pictures of the PSNR in dB; error: (B, C, n) squared, on [0, 1]."""
    return (-10 * error.flatten(1).mean(1).clamp(min=1e-10).log10()).mean().item()
