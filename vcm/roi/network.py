"""A small LSeg: an embedding for each pixel, matched with the embeddings of words."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 40, 112, 320)  # of EfficientNet-Lite0 at these strides


class PixelWordNet(nn.Module):
    """Similarity of each pixel with each known class, and with "none of them".

    EfficientNet-Lite0 with a feature pyramid gives a unit vector per 4x4 pixels; class names come
    as sentence embeddings, projected to the same space. The similarity is a softmax over classes
    and a learnt background vector, as LSeg does over its label set.

    Source: Li et al. 2022, "Language-driven semantic segmentation", arXiv:2201.03546. Deviations:
    a convolutional backbone for CPUs, MiniLM sentence embeddings for CLIP's, a background vector.

    Args:
        words: (K, T) float32, sentence embeddings of the K class names.
    """

    def __init__(self, words: Tensor, width: int = 96, dim: int = 64):
        super().__init__()
        import timm  # takes seconds, so only where a network is made

        self.backbone = timm.create_model(
            "tf_efficientnet_lite0", features_only=True, out_indices=(1, 2, 3, 4)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in CHANNELS)
        self.scene = nn.Conv2d(CHANNELS[-1], width, 1)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in CHANNELS)
        self.out = nn.Conv2d(width, dim, 1)
        self.project = nn.Linear(words.shape[1], dim)
        self.background = nn.Parameter(torch.randn(1, dim))
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.words: Tensor
        self.register_buffer("words", words)

    def pixels(self, x: Tensor) -> Tensor:
        """Unit embeddings: (B, dim, H/4, W/4).

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
        """
        features = self.backbone((x * 255 - 127) / 128)
        top = self.scene(features[-1].mean((2, 3), keepdim=True))
        for level in range(len(CHANNELS) - 1, -1, -1):
            if level < len(CHANNELS) - 1:
                top = F.interpolate(top, scale_factor=2.0, mode="nearest")
            top = F.relu(self.smooth[level](top + self.lateral[level](features[level])))
        return F.normalize(self.out(top).float(), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (B, K + 1, H/4, W/4), the background first."""
        vectors = torch.cat([self.background, self.project(self.words)])
        vectors = F.normalize(vectors, dim=1)  # (K + 1, dim)
        cosine = torch.einsum("bdhw,kd->bkhw", self.pixels(x), vectors)
        return cosine * self.log_scale.exp()
