"""The method with one thing changed. Everything else, the training data included, stays."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.api import KINDS
from vcm.codec.models.roi import Coded, RoiEncoder, RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.control import Controls


class NoMaskBranch(RoiEncoder):
    """S = 1: the encoder does not see the mask, only the loss does."""

    def modulate(self, y0: Tensor, features: Tensor, mask: Tensor, control: Controls) -> Tensor:
        return y0 * (1 + self.lma.image_prior(features, control)) * self.gain(control)


class NoImageBranch(RoiEncoder):
    """R = 0: what is left of a coefficient depends on the mask alone."""

    def modulate(self, y0: Tensor, features: Tensor, mask: Tensor, control: Controls) -> Tensor:
        return y0 * self.lma.mask_prior(mask, control) * self.gain(control)


class LatentTimesMask(RoiEncoder):
    """S is the mask itself, its mean over the pixels of a latent: nothing learnt."""

    def modulate(self, y0: Tensor, features: Tensor, mask: Tensor, control: Controls) -> Tensor:
        mean = 1 - F.avg_pool2d(mask[:, :1], 2)  # (B, 1, h, w)
        return y0 * (mean + self.lma.image_prior(features, control)) * self.gain(control)


class MaskAsInput(RoiEncoder):
    """The best alternative that we know: the mask is an input of the latent's network.

    Features and mask go through two convolutions that add to the latent: unlike a factor, this can
    put other coefficients in place of those that the mask removes.
    """

    def __init__(self, *, hidden: int = 96, **parts: Any):
        super().__init__(**parts)
        features, M = self.lma.image_1.in_channels, self.lma.image_out.out_channels
        self.seen = nn.Conv2d(8, hidden, 3, padding=1)
        self.read = nn.Conv2d(features, hidden, 3, padding=1)
        self.add = nn.Conv2d(hidden, M, 3, padding=1)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)  # type: ignore[arg-type]

    def modulate(self, y0: Tensor, features: Tensor, mask: Tensor, control: Controls) -> Tensor:
        seen = F.pixel_unshuffle(mask, 2)  # (B, 8, h, w)
        both = F.leaky_relu(self.read(features) + self.seen(seen), 0.1)
        return super().modulate(y0 + self.add(both).float(), features, mask, control)


class PictureTimesMask(RoiHyperprior):
    """The mask multiplies the picture, about its middle grey, instead of the latent."""

    def __init__(self, sizes: Sizes):
        super().__init__(sizes, NoMaskBranch)

    def forward(self, x: Tensor, m: Tensor, hundredths: Tensor) -> Coded:
        return super().forward((x - 0.5) * m + 0.5, torch.ones_like(m), hundredths)


def no_mask_branch(sizes: Sizes) -> RoiHyperprior:
    return RoiHyperprior(sizes, NoMaskBranch)


def no_image_branch(sizes: Sizes) -> RoiHyperprior:
    return RoiHyperprior(sizes, NoImageBranch)


def latent_times_mask(sizes: Sizes) -> RoiHyperprior:
    return RoiHyperprior(sizes, LatentTimesMask)


def mask_as_input(sizes: Sizes) -> RoiHyperprior:
    return RoiHyperprior(sizes, MaskAsInput)


ROI = KINDS["roi"]
VARIANTS = {
    "as released": ROI,
    "without the mask branch (S = 1)": ROI._replace(net="variants:no_mask_branch"),
    "without the image branch (R = 0)": ROI._replace(net="variants:no_image_branch"),
    "mask times picture": ROI._replace(net="variants:PictureTimesMask"),
    "mask times latent, not learnt": ROI._replace(net="variants:latent_times_mask"),
    "mask as an input beside LMA": ROI._replace(net="variants:mask_as_input"),
    "one sigma in training (0.1)": ROI,
}
