"""The rate of a coded picture in training: likelihoods by CompressAI's entropy models."""

from collections.abc import Callable
from typing import Final

import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor, nn

from vcm.codec.format.tables import PRECISION, Tables
from vcm.codec.models.roi import Coded
from vcm.codec.models.tabulate import factorized_tables, gaussian_tables
from vcm.codec.nets.entropy import SCALE_MIN

FIT_STEPS: Final = 400
Noise = Callable[[Tensor], Tensor]  # uniform in [-0.5, 0.5], of the same shape


class Rate(nn.Module):
    """Likelihoods of y (Gaussian, by its parameters) and z (factorised, learnt)."""

    def __init__(self, Z: int):
        super().__init__()
        self.prior_z = EntropyBottleneck(Z)
        self.prior_z.quantiles.requires_grad_(False)  # medians stay 0, the tails are fixed
        self.prior_y = GaussianConditional(None, scale_bound=SCALE_MIN)

    def forward(self, coded: Coded, noise: Noise | None = None) -> dict[str, Tensor]:
        """Likelihood of each element: "y" (B, 4, h/2, w/2, M) and "z" (B, Z, h/4, w/4).

        Args:
            noise: replaces rounding in training (Balle et al. 2017, arXiv:1611.01704); None:
                latents are rounded.
        """
        p = coded.y_parameters
        if noise is None:
            y, z = (coded.y - p.means).round() + p.means, coded.z.round()
        else:
            y, z = coded.y + noise(coded.y), coded.z + noise(coded.z)
        y = self.prior_y._likelihood(y, p.scales, p.means)
        z = z.transpose(0, 1)  # (Z, B, h/4, w/4)
        likelihood = self.prior_z._likelihood(z.flatten(1)[:, None])[0]
        bound = self.prior_z.likelihood_lower_bound
        return {
            "y": self.prior_y.likelihood_lower_bound(y),
            "z": bound(likelihood).view(z.shape).transpose(0, 1),
        }

    def tables(self) -> dict[str, Tables]:
        """Integer coding tables for the current weights."""
        return {"z": factorized_tables(self.prior_z), "y": gaussian_tables()}

    def prior(self) -> dict[str, Tensor]:
        """The parameters of z's prior, as a weight file keeps them."""
        return {name: p.detach() for name, p in self.prior_z.named_parameters()}


def rate_of(prior: dict[str, Tensor], table: Tables) -> Rate:
    """The rate model of a weight file.

    Args:
        prior: by `Rate.prior`; empty for old files, whose prior is fitted to their table.
        table: of z.
    """
    if not prior:
        return _fitted(table)
    rate = Rate(len(table.cdf))
    rate.prior_z.load_state_dict(rate.prior_z.state_dict() | prior)
    return rate


def _fitted(table: Tables) -> Rate:
    """A rate model whose prior of z is fitted to a coding table.

    Old weight files hold tables, but not the prior that they were made from.
    """
    rate = Rate(len(table.cdf))
    prior = rate.prior_z
    cdf, length, offset = (torch.from_numpy(t) for t in table)
    target = cdf.diff().double() / 2**PRECISION  # (Z, entries), the last one an escape
    used = torch.arange(target.shape[1]) < length[:, None] - 2
    target = torch.where(used, target, 0.0).float()
    symbols = offset[:, None] + torch.arange(target.shape[1])  # (Z, entries)
    z = symbols.float()[:, None]  # (Z, 1, entries), the layout of CompressAI's priors
    parameters = [p for p in prior.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=0.03)
    for step in range(FIT_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 0.03 * (1 - step / FIT_STEPS)
        likelihood = prior._likelihood(z)[0][:, 0]
        loss = -(target * likelihood.clamp(min=1e-9).log2()).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return rate
