"""h_a, the hyper-analysis; its counterpart h_s is part of `EntropyParameters`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HyperAnalysis(nn.Module):
    """h_a: latent -> hyper-latent z at 1/64 of the picture. Encoder only."""

    def __init__(self, M: int, hyper: int, Z: int):
        super().__init__()
        self.conv1 = nn.Conv2d(M, hyper, 3, padding=1)
        self.conv2 = nn.Conv2d(hyper, hyper, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(hyper, Z, 4, stride=2, padding=1)

    def forward(self, y: Tensor) -> Tensor:
        """z: (B, Z, ceil(h/4), ceil(w/4)) float32, from y: (B, M, h, w)."""
        h, w = y.shape[-2:]
        # Latents span +-100 at high quality; asinh keeps the few large ones from dominating.
        t = F.pad(torch.asinh(y), (0, -w % 4, 0, -h % 4))
        t = F.leaky_relu(self.conv1(t), 0.1)
        t = F.leaky_relu(self.conv2(t), 0.1)
        return self.conv3(t).float()  # type: ignore[no-any-return]
