"""What one step computes: model, rate and loss, of all pictures of a step or of a share of them."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcm.codec.models import published
from vcm.codec.models.loss import (
    bpp_est,
    distortion_weights,
    lmbda_of,
    rate_distortion,
    weighted_mse,
)
from vcm.codec.models.published import Outcome
from vcm.codec.models.rate import Noise, Rate
from vcm.codec.models.roi import RoiHyperprior
from vcm.train.config import Training
from vcm.train.data import Batch
from vcm.train.task import TaskLoss

TaskTerm = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # x_hat, x, m, seed -> (B,)


class Share(NamedTuple):
    """Which pictures of a step these are.

    What is drawn at random for a step does not depend on how it is shared out, so that two
    processes with half of the pictures each compute what one with all of them computes.

    Attributes:
        first, of: index of the first picture, and how many the whole step has.
        seed: of the step's noise.
    """

    first: int
    of: int
    seed: int


class Terms(NamedTuple):
    """The loss, which is minimised, and its parts, means over the pictures: each ().

    Attributes:
        mse: as it is weighed: by the mask and, but for published codecs, the ROI's border.
        roi, background: plain squared error of the pixels inside and outside, a sum over the
            pixels of a side divided by all pixels that the step has: the two add up to the error.
    """

    loss: Tensor
    bpp: Tensor
    mse: Tensor
    roi: Tensor
    background: Tensor
    task: Tensor


class Step(nn.Module):
    """Model and rate model in one module, which accelerate can wrap for several processes.

    Attributes:
        qualities: that say how good the model is.
    """

    qualities: tuple[int, ...] = (0, 25, 50, 75, 100)

    def __init__(self, model: RoiHyperprior, config: Training, task: TaskLoss | None):
        super().__init__()
        self.model = model
        self.rate = Rate(config.model.Z)
        self.config = config
        self.task: TaskTerm | None = task

    def forward(self, data: Batch, share: Share) -> Terms:
        """The loss of some pictures of a step."""
        terms = self.config.loss
        coded = self.model(data.x, data.m, data.hundredths)
        bpp = bpp_est(self.rate(coded, _noise(share, len(data.x))), data.x[0, 0].numel())
        lmbda = lmbda_of(data.hundredths, terms.lmbda_low, terms.lmbda_high)
        middle = (terms.lmbda_low * terms.lmbda_high) ** 0.5
        mse = lmbda_of(data.hundredths, *self.config.task.mse)
        outcome = Outcome(coded.x_hat, bpp)
        return weighed(self.config, self.task, data, outcome, lmbda, middle, mse, share)

    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """Coded pictures, rounded as in use, by way of the networks alone."""
        coded = self.model(x, m, torch.full((len(x),), quality * 100, device=x.device))
        return Outcome(coded.x_hat, bpp_est(self.rate(coded), x[0, 0].numel()))

    def description(self) -> dict[str, Any]:
        """What a checkpoint needs to know to build the model again."""
        return self.model.config()


class PublishedStep(nn.Module):
    """The same for LMA on a published codec, of one rate; its noise is CompressAI's own."""

    qualities: tuple[int, ...] = (50,)

    def __init__(self, config: Training, task: TaskLoss | None):
        super().__init__()
        self.model = published.build(config.published)
        for name, parameter in self.model.named_parameters():
            if name.endswith("quantiles"):  # found when the model is released
                parameter.requires_grad_(False)
        self.config = config
        self.task: TaskTerm | None = task

    def forward(self, data: Batch, share: Share) -> Terms:
        """The loss of some pictures of a step."""
        torch.manual_seed(share.seed + share.first)
        coded = published.outcome(self.model, data.x, data.m)
        lmbda = torch.full_like(coded.bpp, self.config.published.lmbda)
        middle = self.config.published.lmbda
        mse = torch.full_like(coded.bpp, math.prod(self.config.task.mse) ** 0.5)
        return weighed(self.config, self.task, data, coded, lmbda, middle, mse, share)

    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """As `Step.look`; the quality means nothing."""
        return published.outcome(self.model, x, m)

    def description(self) -> dict[str, Any]:
        """What a checkpoint needs to know to build the model again."""
        own = replace(self.config.published, N=self.model.N, M=self.model.M)  # as pretrained ones
        return {"published": asdict(own)}


def weighed(
    config: Training,
    task_loss: TaskTerm | None,
    data: Batch,
    coded: Outcome,
    lmbda: Tensor,
    middle: float,
    mse_weight: Tensor,
    share: Share,
) -> Terms:
    """Rate, distortion and task put together."""
    # published codecs are trained as they were published: the border weighs as the rest
    weights = data.m.square() if config.published.base else distortion_weights(data.m)
    mse = weighted_mse(coded.x_hat, data.x, weights)
    task, distortion = torch.zeros_like(mse), mse
    if task_loss is not None:
        task = task_loss(coded.x_hat.float(), data.x, data.m, share.seed + share.first)
        distortion = mse_weight * mse + config.task.mu * task / 255**2
    loss = rate_distortion(coded.bpp, distortion, lmbda, middle)
    with torch.no_grad():
        error = (coded.x_hat - data.x).square()
        roi, background = ((error * side).mean() for side in (data.m == 1, data.m < 1))
    bpp, mean_mse, mean_task = (t.detach().mean() for t in (coded.bpp, mse, task))
    return Terms(loss, bpp, mean_mse, roi, background, mean_task)


def _noise(share: Share, count: int) -> Noise:
    """Uniform noise in [-0.5, 0.5]: these pictures' part of what the whole step draws."""
    generators: dict[torch.device, torch.Generator] = {}

    def noise(t: Tensor) -> Tensor:
        if t.device not in generators:  # drawn where it is needed
            generators[t.device] = torch.Generator(t.device).manual_seed(share.seed)
        shape = (share.of, *t.shape[1:])
        whole = torch.rand(shape, generator=generators[t.device], device=t.device)
        return whole[share.first : share.first + count] - 0.5

    return noise
