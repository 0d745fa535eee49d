"""What one step computes: model, rate and loss, of all pictures of a step or of a share of them."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcm.codec.format.levels import LevelMap
from vcm.codec.models.loss import POWER, distortion_weights, rate_distortion, weighted_mse
from vcm.codec.models.published import Outcome
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

    def level_map(self, m: Tensor, quality: int) -> LevelMap | None:
        """The map of a file with such a mask, (1, 1, H, W); None if there would be none."""
        return None

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
