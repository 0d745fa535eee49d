"""The rate of a coded picture as training sees it: likelihoods by CompressAI's entropy models."""

from collections.abc import Callable

from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor, nn

from vcm.codec.format.tables import Tables, factorized_tables, gaussian_tables
from vcm.codec.models.roi import Coded
from vcm.codec.nets.entropy import SCALE_MIN

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
            noise: stands for rounding in training (Balle et al. 2017, arXiv:1611.01704); None:
                latents are rounded.
        """
        p = coded.y_parameters
        if noise is None:
            return {
                "y": self.prior_y(coded.y, p.scales, p.means, training=False)[1],
                "z": self.prior_z(coded.z, training=False)[1],
            }
        y = self.prior_y._likelihood(coded.y + noise(coded.y), p.scales, p.means)
        z = (coded.z + noise(coded.z)).transpose(0, 1)  # (Z, B, h/4, w/4)
        likelihood = self.prior_z._likelihood(z.flatten(1)[:, None])[0]
        bound = self.prior_z.likelihood_lower_bound
        return {
            "y": self.prior_y.likelihood_lower_bound(y),
            "z": bound(likelihood).view(z.shape).transpose(0, 1),
        }

    def tables(self) -> dict[str, Tables]:
        """The integer coding tables that belong to the present weights."""
        return {"z": factorized_tables(self.prior_z), "y": gaussian_tables()}
