"""What one step computes: model, rate and loss, for all pictures of a step or some of them."""

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

    A step's random numbers do not depend on how its pictures are divided, so that two processes
    with half of the pictures each compute the same as one process with all of them.

    Attributes:
        first, of: index of the first picture, and number of pictures in the whole step.
        seed: of the step's noise.
    """

    first: int
    of: int
    seed: int


class Terms(NamedTuple):
    """The loss and its parts, means over the pictures: each ().

    Attributes:
        mse: squared error weighted by the mask and, except for published codecs, the ROI's border.
        roi, background: unweighted squared error inside and outside, each summed over its pixels
            and divided by the number of all pixels: the two add up to the whole error.
    """

    loss: Tensor
    bpp: Tensor
    mse: Tensor
    roi: Tensor
    background: Tensor
    task: Tensor


class Trade(NamedTuple):
    """The weights of the loss's terms.

    Attributes:
        lmbda: (B,), of the distortion relative to the rate.
        middle: a typical lmbda.
        mse: (B,), of the squared error relative to the task.
    """

    lmbda: Tensor
    middle: float
    mse: Tensor


class Step(nn.Module):
    """What a training step computes; accelerate can wrap it for several processes.

    Each kind of codec has its own subclass, named in `vcm.codec.api.KINDS`.

    Attributes:
        qualities: at which the model is checked.
        bf16: whether it may be trained in bfloat16.
        channels_last: whether its tensors may be channels last in memory.
        border: largest weight of a pixel at the ROI's border, see `distortion_weights`.
        power: pictures are weighted by this power of lmbda, see `rate_distortion`.
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
        """The loss of some pictures of a step: rate, distortion and task combined."""
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
        """Coded pictures, with rounding as in use, computed by the networks alone."""

    def level_map(self, m: Tensor, quality: int) -> LevelMap | None:
        """The map that a file would have for a mask m, (1, 1, H, W); None if it would have none."""
        return None

    @abstractmethod
    def trade(self, data: Batch) -> Trade:
        """The weights of rate, distortion and task for each picture."""

    @abstractmethod
    def halves(self) -> dict[Learn, list[nn.Module]]:
        """The modules that learn, by the value of `[run] learn`."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What a checkpoint stores so that the model can be built again."""

    def begin(self, blocks: Callable[[], Tensor]) -> None:
        """Initialise for a new training; `blocks` gives (n, 3, 16, 16) float32 from its photos."""
