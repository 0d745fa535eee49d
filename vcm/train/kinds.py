"""The training step of each kind of codec; `vcm.codec.api.KINDS` is the table of kinds."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from vcm.codec.format.levels import LevelMap
from vcm.codec.models import cva, published
from vcm.codec.models.klt import start_from_klt
from vcm.codec.models.loss import BORDER_WEIGHT, bpp_est, lmbda_of
from vcm.codec.models.published import Outcome, Preset
from vcm.codec.models.rate import Noise, Rate
from vcm.codec.models.sizes import Sizes
from vcm.train.config import Training
from vcm.train.data import Batch
from vcm.train.parts import Learn
from vcm.train.step import Share, Step, Trade
from vcm.train.task import TaskLoss


class RoiStep(Step):
    """The step of our model, with its rate model."""

    qualities = (0, 25, 50, 75, 100)
    bf16 = channels_last = True
    border = BORDER_WEIGHT

    def __init__(self, net: Callable[[Sizes], nn.Module], config: Training, task: TaskLoss | None):
        super().__init__(net(config.model), config, task)
        self.rate = Rate(config.model.Z)

    def coded(self, data: Batch, share: Share) -> Outcome:
        """See `Step`."""
        coded = self.model(data.x, *self._told(data.m, data.hundredths, data.mapped))
        likelihoods = self.rate(coded, _noise(share, len(data.x)))
        return Outcome(coded.x_hat, bpp_est(likelihoods, data.x[0, 0].numel()))

    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """See `Step`."""
        hundredths = torch.full((len(x),), quality * 100, device=x.device)
        coded = self.model(x, *self._told(m, hundredths, torch.ones_like(hundredths)))
        return Outcome(coded.x_hat, bpp_est(self.rate(coded), x[0, 0].numel()))

    def level_map(self, m: Tensor, quality: int) -> LevelMap | None:
        """See `Step`."""
        if not self.config.model.below:
            return None
        one = torch.tensor([quality * 100], device=m.device)
        _, asked = self._told(m, one, torch.ones_like(one))
        uniform = bool((asked == one).all())
        return None if uniform else LevelMap.of(asked[0].cpu().numpy())

    def _told(self, m: Tensor, hundredths: Tensor, mapped: Tensor) -> tuple[Tensor, Tensor]:
        """What LMA sees of the masks, and the quality of each picture or of each latent."""
        if not self.config.model.below:
            return m, hundredths
        loss = self.config.loss
        latents = torch.where(mapped.bool()[:, None, None, None], cva.of_latents(m), 1.0)
        asked = cva.qualities(hundredths, latents, (loss.lmbda_low, loss.lmbda_high))
        return cva.relative(m, latents), asked

    def trade(self, data: Batch) -> Trade:
        """See `Step`."""
        loss = self.config.loss
        lmbda = lmbda_of(data.hundredths, loss.lmbda_low, loss.lmbda_high)
        middle = (loss.lmbda_low * loss.lmbda_high) ** 0.5
        return Trade(lmbda, middle, lmbda_of(data.hundredths, *self.config.task.mse))

    def halves(self) -> dict[Learn, list[nn.Module]]:
        """See `Step`. "decoder" is only what turns y_hat into pixels: latents do not change."""
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
    """The step of a published codec with LMA, of one rate; its noise is CompressAI's."""

    qualities = (50,)
    bf16 = channels_last = False  # with them, cheng2020-anchor crashes torch 2.14's oneDNN
    border = 1  # the loss as it was published

    def __init__(self, net: Callable[[Preset], Any], config: Training, task: TaskLoss | None):
        super().__init__(published.with_lma(net(config.published)), config, task)
        for name, parameter in self.model.named_parameters():
            if name.endswith("quantiles"):  # computed when the model is released
                parameter.requires_grad_(False)

    def coded(self, data: Batch, share: Share) -> Outcome:
        """See `Step`."""
        torch.manual_seed(share.seed + share.first)
        return published.outcome(self.model, data.x, data.m)

    def look(self, x: Tensor, m: Tensor, quality: int) -> Outcome:
        """See `Step`; the quality is ignored."""
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
        # pretrained models bring their own N and M
        own = replace(self.config.published, N=self.model.N, M=self.model.M)
        return {"published": asdict(own)}


def _noise(share: Share, count: int) -> Noise:
    """Uniform noise in [-0.5, 0.5]: the part for these pictures of the whole step's noise."""
    generators: dict[torch.device, torch.Generator] = {}

    def noise(t: Tensor) -> Tensor:
        if t.device not in generators:  # noise is drawn on the tensor's device
            generators[t.device] = torch.Generator(t.device).manual_seed(share.seed)
        shape = (share.of, *t.shape[1:])
        whole = torch.rand(shape, generator=generators[t.device], device=t.device)
        return whole[share.first : share.first + count] - 0.5

    return noise
