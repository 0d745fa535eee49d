"""What one step computes: model, rate and loss, of all pictures of a step or of a share of them."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcm.codec.models import published
from vcm.codec.models.klt import start_from_klt
from vcm.codec.models.loss import (
    BORDER_WEIGHT,
    POWER,
    bpp_est,
    distortion_weights,
    lmbda_of,
    rate_distortion,
    weighted_mse,
)
from vcm.codec.models.published import Outcome, Preset
from vcm.codec.models.rate import Noise, Rate
from vcm.codec.models.sizes import Sizes
from vcm.train.config import Training
from vcm.train.data import Batch
from vcm.train.parts import Learn
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


class Trade(NamedTuple):
    """What the terms of the loss weigh.

    Attributes:
        lmbda: (B,), of the distortion against the rate.
        middle: a usual lmbda.
        mse: (B,), of the squared error against the task.
    """

    lmbda: Tensor
    middle: float
    mse: Tensor


class Step(nn.Module):
    """What a step computes of a codec; accelerate can wrap it for several processes.

    The kinds of codecs have each a class of their own, named in `vcm.codec.api.KINDS`.

    Attributes:
        qualities: that say how good the model is.
        bf16: whether it may be trained in bfloat16.
        channels_last: whether it may lie in memory so.
        border: largest weight of a pixel at the ROI's border, see `distortion_weights`.
        power: of lmbda, in the weight of a picture, see `rate_distortion`.
    """

    qualities: tuple[int, ...]
    bf16: bool
    channels_last: bool
    border: float
    power: float = POWER

    def __init__(self, model: nn.Module, config: Training, task: TaskLoss | None):
        super().__init__()
        self.model: Any = model
        self.config = config
        self.task: TaskTerm | None = task

    def forward(self, data: Batch, share: Share) -> Terms:
        """The loss of some pictures of a step: rate, distortion and task put together."""
        coded, trade = self.coded(data, share), self.trade(data)
        mse = weighted_mse(coded.x_hat, data.x, distortion_weights(data.m, self.border))
        task, distortion = torch.zeros_like(mse), mse
        if self.task is not None:
            task = self.task(coded.x_hat.float(), data.x, data.m, share.seed + share.first)
            distortion = trade.mse * mse + self.config.task.mu * task / 255**2
        loss = rate_distortion(coded.bpp, distortion, trade.lmbda, trade.middle, self.power)
        with torch.no_grad():
            error = (coded.x_hat - data.x).square()
            roi, background = ((error * side).mean() for side in (data.m == 1, data.m < 1))
        bpp, mean_mse, mean_task = (t.detach().mean() for t in (coded.bpp, mse, task))
        return Terms(loss, bpp, mean_mse, roi, background, mean_task)

    @abstractmethod
    def coded(self, data: Batch, share: Share) -> Outcome:
        """The pictures of a step as training codes them."""

    @abstractmethod
    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """Coded pictures, rounded as in use, by way of the networks alone."""

    @abstractmethod
    def trade(self, data: Batch) -> Trade:
        """What rate, distortion and task weigh in each picture."""

    @abstractmethod
    def halves(self) -> dict[Learn, list[nn.Module]]:
        """The parts that learn, by what is to learn."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What a checkpoint needs to know to build the model again."""

    def begin(self, blocks: Callable[[], Tensor]) -> None:
        """Start a training; `blocks` gives (n, 3, 16, 16) float32 of its photos."""


class RoiStep(Step):
    """Of our model, with its rate model."""

    qualities = (0, 25, 50, 75, 100)
    bf16 = channels_last = True
    border = BORDER_WEIGHT

    def __init__(self, net: Callable[[Sizes], nn.Module], config: Training, task: TaskLoss | None):
        super().__init__(net(config.model), config, task)
        self.rate = Rate(config.model.Z)

    def coded(self, data: Batch, share: Share) -> Outcome:
        """See `Step`."""
        coded = self.model(data.x, data.m, data.hundredths)
        likelihoods = self.rate(coded, _noise(share, len(data.x)))
        return Outcome(coded.x_hat, bpp_est(likelihoods, data.x[0, 0].numel()))

    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """See `Step`."""
        coded = self.model(x, m, torch.full((len(x),), quality * 100, device=x.device))
        return Outcome(coded.x_hat, bpp_est(self.rate(coded), x[0, 0].numel()))

    def trade(self, data: Batch) -> Trade:
        """See `Step`."""
        loss = self.config.loss
        lmbda = lmbda_of(data.hundredths, loss.lmbda_low, loss.lmbda_high)
        middle = (loss.lmbda_low * loss.lmbda_high) ** 0.5
        return Trade(lmbda, middle, lmbda_of(data.hundredths, *self.config.task.mse))

    def halves(self) -> dict[Learn, list[nn.Module]]:
        """See `Step`. Of the decoder what turns y_hat into pixels: latents stay what they were."""
        decoder = self.model.decoder
        return {
            "all": [self],
            "encoder": [self.model.encoder],
            "decoder": [decoder.g_s, decoder.inverse_gain],
        }

    def description(self) -> dict[str, Any]:
        """See `Step`."""
        return self.model.config()  # type: ignore[no-any-return]

    def begin(self, blocks: Callable[[], Tensor]) -> None:
        """See `Step`."""
        start_from_klt(self.model, blocks())


class PublishedStep(Step):
    """Of LMA on a published codec, of one rate; its noise is CompressAI's own."""

    qualities = (50,)
    bf16 = channels_last = False  # cheng2020-anchor so crashes torch 2.14's oneDNN
    border = 1  # they are trained as they were published

    def __init__(self, net: Callable[[Preset], Any], config: Training, task: TaskLoss | None):
        super().__init__(published.with_lma(net(config.published)), config, task)
        for name, parameter in self.model.named_parameters():
            if name.endswith("quantiles"):  # found when the model is released
                parameter.requires_grad_(False)

    def coded(self, data: Batch, share: Share) -> Outcome:
        """See `Step`."""
        torch.manual_seed(share.seed + share.first)
        return published.outcome(self.model, data.x, data.m)

    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """See `Step`; the quality means nothing."""
        return published.outcome(self.model, x, m)

    def trade(self, data: Batch) -> Trade:
        """See `Step`."""
        lmbda = torch.full((len(data.x),), self.config.published.lmbda, device=data.x.device)
        mse = torch.full_like(lmbda, math.prod(self.config.task.mse) ** 0.5)
        return Trade(lmbda, self.config.published.lmbda, mse)

    def halves(self) -> dict[Learn, list[nn.Module]]:
        """See `Step`."""
        encoder = published.encoder_of(self.model)
        return {"all": [self], "encoder": [encoder], "decoder": [self.model.g_s]}

    def description(self) -> dict[str, Any]:
        """See `Step`."""
        own = replace(self.config.published, N=self.model.N, M=self.model.M)  # as pretrained ones
        return {"published": asdict(own)}


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
