"""A small LSeg: what each pixel shows, in words, and how much detectors would look at it."""

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.roi.backbone import EfficientNetLite

WIDTHS: Final = (64, 96, 128, 160)  # of the pyramid at 1/4, 1/8, 1/16, 1/32
NONES: Final = 4  # vectors of what no word names: it looks like many things


class Pixels(NamedTuple):
    """What the network says of a picture, before any word is asked.

    Attributes:
        vectors: (B, dim, H/4, W/4) float32, unit embeddings.
        importance: (B, 1, H/16, W/16) float32, log of what a place weighs for detectors.
    """

    vectors: Tensor
    importance: Tensor


class PixelWordNet(nn.Module):
    """Similarity of each pixel with each known class, and with "none of them".

                 x (B, 3, H, W)
                   |
            [EfficientNet-Lite2]
                   | 1/4 ... 1/32
               [pyramid] -- 1/16 --> importance (B, 1, H/16, W/16)
                   |
        vectors (B, dim, H/4, W/4)
                   | cosine with the projected sentence embeddings
                   |
        logits (B, K + 1, H/4, W/4), "none" first

    Source: Li et al. 2022, "Language-driven semantic segmentation", arXiv:2201.03546. Deviations:
    a convolutional backbone for CPUs, MiniLM sentence embeddings for CLIP's, vectors for "none of
    them", and a bias for each class, which says how often it is seen.

    Args:
        words: (K, T) float32, sentence embeddings of the K class names.
    """

    def __init__(self, words: Tensor, dim: int = 64):
        super().__init__()
        self.backbone = EfficientNetLite(2)
        channels = self.backbone.channels
        self.lateral = nn.ModuleList(
            nn.Conv2d(c, w, 1) for c, w in zip(channels, WIDTHS, strict=True)
        )
        self.scene = nn.Conv2d(channels[-1], WIDTHS[-1], 1)
        self.smooth = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in WIDTHS)
        self.narrow = nn.ModuleList(
            nn.Conv2d(wide, w, 1) for w, wide in zip(WIDTHS, WIDTHS[1:], strict=False)
        )
        self.out = nn.Conv2d(WIDTHS[0], dim, 1)
        self.importance = nn.Sequential(
            nn.Conv2d(WIDTHS[2], 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1)
        )
        self.project = nn.Linear(words.shape[1], dim)
        self.none = nn.Parameter(torch.randn(NONES, dim))
        self.bias = nn.Parameter(torch.zeros(len(words) + 1))
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.words: Tensor
        self.register_buffer("words", words)

    def pixels(self, x: Tensor) -> Pixels:
        """What the picture shows where.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
        """
        return self.read(self.backbone(x))

    def middle(self, features: list[Tensor]) -> Tensor:
        """The pyramid at 1/16: (B, C, H/16, W/16)."""
        scene = self.scene(features[3].mean((2, 3), keepdim=True))
        top = F.relu(self.smooth[3](F.relu(self.lateral[3](features[3]) + scene)))
        return self._finer(top, features, 2)

    def read(self, features: list[Tensor]) -> Pixels:
        """The pyramid over the backbone's features at 1/4, 1/8, 1/16 and 1/32."""
        middle = self.middle(features)
        top = self._finer(self._finer(middle, features, 1), features, 0)
        return Pixels(F.normalize(self.out(top).float(), dim=1), self.importance(middle).float())

    def _finer(self, top: Tensor, features: list[Tensor], level: int) -> Tensor:
        """One level down the pyramid, to twice the resolution."""
        above = F.interpolate(self.narrow[level](top), scale_factor=2.0, mode="nearest")
        return F.relu(self.smooth[level](F.relu(above + self.lateral[level](features[level]))))

    def logits(self, pixels: Pixels) -> Tensor:
        """(B, K + 1, H/4, W/4), "none" first."""
        words = F.normalize(torch.cat([self.none, self.project(self.words)]), dim=1)
        cosine = F.conv2d(pixels.vectors, words[:, :, None, None]) * self.log_scale.exp()
        none = cosine[:, :NONES].logsumexp(1, keepdim=True)
        return torch.cat([none, cosine[:, NONES:]], 1) + self.bias[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (B, K + 1, H/4, W/4), "none" first; x as for `pixels`."""
        return self.logits(self.pixels(x))
