"""The task term of the loss: how much worse a frozen task model sees the decoded picture."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.errors import SpecError
from vcm.models import load_teacher

GIVEN_BY: Final = {"features": "features", "labels": "loss", "answers": "distance"}  # methods


@dataclass(frozen=True)
class Task:
    """[task] What the codec is tuned for; without a model there is no task term.

    Attributes:
        model: "adapter:weights" or a file, see `vcm.models`.
        loss: "features": distance between the model's features of the decoded and of the original
            picture; "labels": the model's own training loss, with what it is sure of on the
            original as labels; "answers": distance of its boxes and probabilities at every
            position from those on the original. Only "features" is weighted by the mask.
        levels: which of the model's feature maps count, finest first; empty: all.
        mu: weight of the term, in units of 255^2 * MSE on [0, 1]: like the distortion it is
            multiplied by lmbda, so that one model serves every rate.
        mse: weight of the ordinary distortion beside it at quality 0 and 100, log-spaced between.
        scale: crops are enlarged by this factor for the model, to be closer to pictures in use.
    """

    model: str = ""
    loss: Literal["features", "labels", "answers"] = "features"
    levels: tuple[int, ...] = ()
    mu: float = 300.0
    mse: tuple[float, float] = (1.0, 1.0)
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.mu < 0:
            raise SpecError(f"mu: expected 0 or more, got {self.mu}")
        if min(self.mse) <= 0:
            raise SpecError(f"mse: expected two numbers above 0, got {list(self.mse)}")
        if not 0.25 <= self.scale <= 4:
            raise SpecError(f"scale: expected 0.25 to 4, got {self.scale}")
        if min(self.levels, default=0) < 0:
            raise SpecError(f"levels: expected numbers from 0, got {list(self.levels)}")


class TaskLoss:
    """The term of one frozen model. Not an nn.Module, so that checkpoints leave its weights out.

    Args:
        device: of the pictures.

    Raises:
        SpecError: if the model cannot give this loss.
        ModelError, MissingExtra: if it cannot be loaded.
    """

    def __init__(self, task: Task, device: torch.device | str = "cpu"):
        self.task = task
        self._teacher: Any = load_teacher(task.model)
        for part in (self._teacher, *vars(self._teacher).values()):
            if isinstance(part, nn.Module):
                part.to(device)
        if not hasattr(self._teacher, GIVEN_BY[task.loss]):
            raise SpecError(f"task.loss {task.loss!r}: {task.model} does not offer it")

    def __call__(self, x_hat: Tensor, x: Tensor, m: Tensor, seed: int = 0) -> Tensor:
        """The term of each picture: (B,) float32, independent of the batch's other pictures.

        Args:
            x_hat, x: (B, 3, H, W) float32, about [0, 1], RGB.
            m: (B, 1, H, W) mask values; with "features", errors weigh m squared.
            seed: of the first picture, for models that sample in their loss.
        """
        with torch.autocast(x.device.type, enabled=False):  # boxes need float32, as in use
            return self._terms(x_hat.float(), x, m, seed)

    def _terms(self, x_hat: Tensor, x: Tensor, m: Tensor, seed: int) -> Tensor:
        x_hat, x = (self._seen(t) for t in (x_hat.clamp(0, 1), x))
        if self.task.loss == "features":
            with torch.no_grad():
                wanted = self._features(x)
            return feature_distance(self._features(x_hat), wanted, m)
        if self.task.loss == "answers":
            return self._teacher.distance(x_hat, x)  # type: ignore[no-any-return]
        # One by one: models normalise by what they found in the whole batch.
        each = ((x_hat[i : i + 1], x[i : i + 1], seed + i) for i in range(len(x)))
        return torch.stack([self._own_loss(*one) for one in each])

    def _own_loss(self, x_hat: Tensor, x: Tensor, seed: int) -> Tensor:
        devices = [x.device] if x.is_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            return self._teacher.loss(x_hat, self._teacher.labels(x))  # type: ignore[no-any-return]

    def _features(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = self._teacher.features(x)
        levels = self.task.levels or range(len(features))
        if max(levels) >= len(features):
            raise SpecError(f"task.levels: the model has {len(features)}, got {list(levels)}")
        return [features[level] for level in levels]

    def _seen(self, x: Tensor) -> Tensor:
        """The picture as the model takes it: enlarged, its sides multiples of its stride."""
        stride = getattr(self._teacher, "stride", 32)
        size = [max(stride, round(n * self.task.scale / stride) * stride) for n in x.shape[-2:]]
        if size == list(x.shape[-2:]):
            return x
        return F.interpolate(x, size, mode="bilinear", align_corners=False)


def feature_distance(found: list[Tensor], wanted: list[Tensor], m: Tensor) -> Tensor:
    """Squared difference relative to the squares of `wanted`, mean over levels: (B,).

    Source: TransTIC (Chen et al. 2023, arXiv:2306.05085), mean squared error of FPN features.
    Deviations: each level is relative to its own energy, so that none dominates, and weighted by
    the square of the mask, so that words and sigma affect this term as well.
    """
    terms = []
    for f, w in zip(found, wanted, strict=True):
        weights = F.adaptive_avg_pool2d(m.square(), (w.shape[-2], w.shape[-1]))
        energy = w.square().mean((1, 2, 3)).clamp(min=1e-6)
        terms.append(((f - w).square() * weights).mean((1, 2, 3)) / energy)
    return torch.stack(terms).mean(0)
