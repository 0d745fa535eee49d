"""The method with one thing changed. Everything else, the training data included, stays."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.models.roi import Coded, Quality, RoiHyperprior, Sizes


class NoMaskBranch(RoiHyperprior):
    """S = 1: the encoder does not see the mask, only the loss does."""

    def modulate(self, y0: Tensor, features: Tensor, level: Tensor, quality: Quality) -> Tensor:
        prior = self.lma.image_prior(features, quality.real)
        return y0 * (1 + prior) * self.gain(quality.real)


class NoImageBranch(RoiHyperprior):
    """R = 0: what is left of a coefficient depends on the mask alone."""

    def modulate(self, y0: Tensor, features: Tensor, level: Tensor, quality: Quality) -> Tensor:
        return y0 * self.lma.mask_prior(level, quality.real) * self.gain(quality.real)


class PictureTimesMask(NoMaskBranch):
    """The mask multiplies the picture, about its middle grey, instead of the latent."""

    def forward(self, x: Tensor, m: Tensor, hundredths: Tensor) -> Coded:
        return super().forward((x - 0.5) * m + 0.5, torch.ones_like(m), hundredths)


class LatentTimesMask(RoiHyperprior):
    """S is the mask itself, its mean over the pixels of a latent: nothing learnt."""

    def modulate(self, y0: Tensor, features: Tensor, level: Tensor, quality: Quality) -> Tensor:
        mean = 1 - F.avg_pool2d(level[:, :1], 2)  # (B, 1, h, w)
        prior = self.lma.image_prior(features, quality.real)
        return y0 * (mean + prior) * self.gain(quality.real)


class MaskAsInput(RoiHyperprior):
    """The best alternative that we know: the mask is an input of the latent's network.

    Features and mask go through two convolutions that add to the latent: unlike a factor, this can
    put other coefficients in place of those that the mask removes.
    """

    def __init__(self, sizes: Sizes, hidden: int = 96):
        super().__init__(sizes)
        self.seen = nn.Conv2d(8, hidden, 3, padding=1)
        self.read = nn.Conv2d(sizes.analysis.n16, hidden, 3, padding=1)
        self.add = nn.Conv2d(hidden, sizes.M, 3, padding=1)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)  # type: ignore[arg-type]

    def modulate(self, y0: Tensor, features: Tensor, level: Tensor, quality: Quality) -> Tensor:
        mask = F.pixel_unshuffle(level, 2)  # (B, 8, h, w)
        both = F.leaky_relu(self.read(features) + self.seen(mask), 0.1)
        return super().modulate(y0 + self.add(both).float(), features, level, quality)


VARIANTS = {
    "as released": RoiHyperprior,
    "without the mask branch (S = 1)": NoMaskBranch,
    "without the image branch (R = 0)": NoImageBranch,
    "mask times picture": PictureTimesMask,
    "mask times latent, not learnt": LatentTimesMask,
    "mask as an input beside LMA": MaskAsInput,
    "one sigma in training (0.1)": RoiHyperprior,
}
