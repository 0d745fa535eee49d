"""What one step computes: model, rate and loss, of all pictures of a step or of a share of them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vcm.codec.loss import bpp_est, distortion_weights, lmbda_of, rate_distortion, weighted_mse
from vcm.codec.model import RoiHyperprior
from vcm.codec.rate import Noise, Rate
from vcm.train.config import Training
from vcm.train.data import Batch
from vcm.train.task import TaskLoss


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
    """The loss, which is minimised, and its parts, means over the pictures: each ()."""

    loss: Tensor
    bpp: Tensor
    mse: Tensor
    task: Tensor


class Step(nn.Module):
    """Model and rate model in one module, which accelerate can wrap for several processes."""

    def __init__(self, model: RoiHyperprior, config: Training, task: TaskLoss | None):
        super().__init__()
        self.model = model
        self.rate = Rate(config.model.Z)
        self.config = config
        self._task: Callable[[Tensor, Tensor, Tensor], Tensor] | None = task

    def forward(self, data: Batch, share: Share) -> Terms:
        """The loss of some pictures of a step."""
        x, terms = data.x, self.config.loss
        coded = self.model(x, data.m, data.hundredths)
        bpp = bpp_est(self.rate(coded, _noise(share, len(x))), x[0, 0].numel())
        mse = weighted_mse(coded.x_hat, x, distortion_weights(data.m))
        lmbda = lmbda_of(data.hundredths, terms.lmbda_low, terms.lmbda_high)
        middle = (terms.lmbda_low * terms.lmbda_high) ** 0.5
        task = torch.zeros_like(mse)
        distortion = mse
        if self._task is not None:
            task = self._task(coded.x_hat.float(), x, data.m)
            wanted = self.config.task
            distortion = wanted.mse * mse + wanted.mu * task / 255**2
        loss = rate_distortion(bpp, distortion, lmbda, middle)
        mean_bpp, mean_mse, mean_task = (t.detach().mean() for t in (bpp, mse, task))
        return Terms(loss, mean_bpp, mean_mse, mean_task)


def _noise(share: Share, count: int) -> Noise:
    """Uniform noise in [-0.5, 0.5]: these pictures' part of what the whole step draws."""
    generator = torch.Generator().manual_seed(share.seed)

    def noise(t: Tensor) -> Tensor:
        whole = torch.rand((share.of, *t.shape[1:]), generator=generator)
        return (whole[share.first : share.first + count] - 0.5).to(t.device)

    return noise
