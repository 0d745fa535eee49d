"""A small LSeg, helped by an ImageNet classifier: which class each pixel shows."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.roi.backbone import EfficientNetLite, Norm

WHOLE, KNOWN = 1280, 1000  # channels of the classifier's last features; its ImageNet classes
FLOOR = 1e-4  # probabilities below this are no evidence


class Pixels(NamedTuple):
    """What the network computes from a picture, before any word comes in.

    Attributes:
        vectors: (B, dim, H/4, W/4) float32, unit embeddings.
        trust: (B, 1, H/4, W/4) float32 in (0, 1): how much the classifier counts here.
        known: (B, 1000, H/32, W/32) float32, probability of each ImageNet class.
        importance: (B, 1, H/16, W/16) float32, log of how much errors here matter to detectors.
    """

    vectors: Tensor
    trust: Tensor
    known: Tensor
    importance: Tensor


class PixelWordNet(nn.Module):
    """Similarity of each pixel with each known class, and with "none of them".

                 x (B, 3, H, W)
                   |
        [EfficientNet-Lite0] -- 1/32 --> [ImageNet's classifier at every place] --> known
                   | 1/4 ... 1/32                                                    |
              [pyramid] ---------> trust (B, 1, H/4, W/4)                            |
                   |      '------> importance (B, 1, H/16, W/16)                     |
                   |                  |                                              |
        vectors (B, dim, H/4, W/4)    '----------------------(x)---------------------'
                   | cosine with the projected                |
                   | sentence embeddings                      |
                   '------------------(+)---------------------'
                                       |
                        logits (B, K + 1, H/4, W/4), "none" first

    The cosine covers what the training photos show; the classifier, which is not trained here, adds
    classes that they hardly show. How far to trust it is learnt on classes whose cosine is hidden
    at random, so that it also works for classes never seen.

    Source: Li et al. 2022, "Language-driven semantic segmentation", arXiv:2201.03546. Deviations:
    a convolutional backbone for CPUs, MiniLM sentence embeddings for CLIP's, a background vector,
    a bias for each class, and the classifier as in Zhou et al. 2016, "Learning deep features for
    discriminative localization", arXiv:1512.04150.

    Args:
        words: (K, T) float32, sentence embeddings of the K class names.
        members: (K, 1000) bool, the ImageNet classes that belong to each of them.
    """

    def __init__(self, words: Tensor, members: Tensor, width: int = 96, dim: int = 64):
        super().__init__()
        self.backbone = EfficientNetLite(0)
        channels = self.backbone.channels
        self.conv_head = nn.Conv2d(channels[-1], WHOLE, 1, bias=False)
        self.bn2 = Norm(WHOLE)
        self.classifier = nn.Linear(WHOLE, KNOWN)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.scene = nn.Conv2d(channels[-1], width, 1)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.out = nn.Conv2d(width, dim, 1)
        self.importance = nn.Sequential(
            nn.Conv2d(width, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1)
        )
        self.trust = nn.Conv2d(dim, 1, 1)
        nn.init.zeros_(self.trust.weight)
        nn.init.constant_(self.trust.bias, -1.0)  # type: ignore[arg-type]
        self.project = nn.Linear(words.shape[1], dim)
        self.background = nn.Parameter(torch.randn(1, dim))
        self.bias = nn.Parameter(torch.zeros(len(words) + 1))
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.words: Tensor
        self.members: Tensor
        self.register_buffer("words", words)
        self.register_buffer("members", members)

    def pixels(self, x: Tensor) -> Pixels:
        """Embeddings, trust, classifier and importance of a picture.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
        """
        features = self.backbone(x)
        return self.read(features, self.known(features[-1]))

    def known(self, top: Tensor) -> Tensor:
        """Probability of each ImageNet class: (B, 1000, h, w), from features (B, 320, h, w)."""
        whole = F.relu6(self.bn2(self.conv_head(top)))
        logits = F.conv2d(whole, self.classifier.weight[:, :, None, None], self.classifier.bias)
        return logits.float().softmax(1)

    def read(self, features: list[Tensor], known: Tensor) -> Pixels:
        """The pyramid over the backbone's features at 1/4, 1/8, 1/16 and 1/32."""
        middle = self.middle(features)
        top = self._finer(self._finer(middle, features, 1), features, 0)
        vectors = F.normalize(self.out(top).float(), dim=1)
        # from unit vectors, so that no single step can drive the sigmoid into saturation
        trust = torch.sigmoid(self.trust(vectors))
        return Pixels(vectors, trust, known, self.importance(middle).float())

    def middle(self, features: list[Tensor]) -> Tensor:
        """The pyramid at 1/16: (B, C, H/16, W/16)."""
        scene = self.scene(features[3].mean((2, 3), keepdim=True))
        top = F.relu(self.smooth[3](scene + self.lateral[3](features[3])))
        return self._finer(top, features, 2)

    def _finer(self, top: Tensor, features: list[Tensor], level: int) -> Tensor:
        """One level down the pyramid, to twice the resolution."""
        above = F.interpolate(top, scale_factor=2.0, mode="nearest")
        return F.relu(self.smooth[level](above + self.lateral[level](features[level])))

    def logits(self, pixels: Pixels, hidden: Tensor | None = None) -> Tensor:
        """(B, K + 1, H/4, W/4), "none" first.

        Args:
            hidden: (K,) bool, classes whose cosine is ignored, in training only.
        """
        vectors = F.normalize(torch.cat([self.background, self.project(self.words)]), dim=1)
        cosine = F.conv2d(pixels.vectors, vectors[:, :, None, None]) * self.log_scale.exp()
        p = F.conv2d(pixels.known, self.members.float()[:, :, None, None])
        evidence = (p.clamp(min=FLOOR) / FLOOR).log()  # 0 ... 9.2
        evidence = F.interpolate(evidence, size=cosine.shape[2:], mode="bilinear")
        words = cosine[:, 1:]
        if hidden is not None:
            words = words.masked_fill(hidden[:, None, None], 0.0)
        logits = torch.cat([cosine[:, :1], words + pixels.trust * evidence], 1)
        return logits + self.bias[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (B, K + 1, H/4, W/4), "none" first; x as for `pixels`."""
        return self.logits(self.pixels(x))
