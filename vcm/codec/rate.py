"""The rate of a coded picture as training sees it: likelihoods by CompressAI's entropy models."""

from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor, nn

from vcm.codec.entropy import SCALE_MIN
from vcm.codec.model import Coded
from vcm.codec.tables import Tables, factorized_tables, gaussian_tables


class Rate(nn.Module):
    """Likelihoods of y (Gaussian, by its parameters) and z (factorised, learnt).

    In training, rounding is replaced by uniform noise (Balle et al. 2017, arXiv:1611.01704).
    """

    def __init__(self, Z: int):
        super().__init__()
        self.prior_z = EntropyBottleneck(Z)
        self.prior_z.quantiles.requires_grad_(False)  # medians stay 0, the tails are fixed
        self.prior_y = GaussianConditional(None, scale_bound=SCALE_MIN)

    def forward(self, coded: Coded) -> dict[str, Tensor]:
        """Likelihood of each element: "y" (B, M, h, w) and "z" (B, Z, h/4, w/4)."""
        p = coded.y_parameters
        _, y = self.prior_y(coded.y, p.scales, p.means)
        _, z = self.prior_z(coded.z)
        return {"y": y, "z": z}

    def tables(self) -> dict[str, Tables]:
        """The integer coding tables that belong to the present weights."""
        return {"z": factorized_tables(self.prior_z), "y": gaussian_tables()}
