"""EfficientNet-Lite, the backbone of the words-to-mask network, without timm."""

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# kernel, stride, expansion, channels, blocks of each stage, at width and depth 1
STAGES: Final = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip
STEM: Final = 32
TAPS: Final = (1, 2, 4, 6)  # the stages whose outputs are the features at 1/4, 1/8, 1/16, 1/32
SCALES: Final = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # width and depth by variant


class EfficientNetLite(nn.Module):
    """Features at 1/4, 1/8, 1/16 and 1/32 of a picture.

    Source: Tan and Le 2019, "EfficientNet", arXiv:1905.11946, in its Lite form: ReLU6, no
    squeeze-and-excitation.

    Args:
        variant: 0, 1 or 2.
    """

    def __init__(self, variant: int):
        super().__init__()
        width, depth = SCALES[variant]
        self.stem = _Unit(3, STEM, 3, 2)
        stages, before = [], STEM
        for i, (kernel, stride, expansion, c, n) in enumerate(STAGES):
            last = i in (0, len(STAGES) - 1)  # never deepened
            channels = multiple_of_8(c * width)
            blocks = []
            for k in range(n if last else math.ceil(n * depth)):
                blocks.append(_Block(before, channels, kernel, 1 if k else stride, expansion))
                before = channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.channels: Final = tuple(multiple_of_8(STAGES[i][3] * width) for i in TAPS)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The four features.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
        """
        t, features = self.begin(x, 0)
        return features + self.go_on(t, 0)

    def begin(self, x: Tensor, stages: int) -> tuple[Tensor, list[Tensor]]:
        """The output of the first `stages` stages, and the features among their outputs."""
        return self._through(self.stem((x * 255 - 127) / 128), 0, stages)

    def go_on(self, t: Tensor, begun: int) -> list[Tensor]:
        """The features of the stages after the first `begun`, from the output of `begin`."""
        return self._through(t, begun, len(self.stages))[1]

    def parts(self, stages: int) -> list[nn.Module]:
        """The modules that `begin` runs."""
        return [self.stem, *self.stages[:stages]]

    def _through(self, t: Tensor, first: int, end: int) -> tuple[Tensor, list[Tensor]]:
        features = []
        for i in range(first, end):
            t = self.stages[i](t)
            if i in TAPS:
                features.append(t)
        return t, features


class _Unit(nn.Sequential):
    """Convolution and normalisation, then ReLU6.

    With a stride the padding is TensorFlow's, where these weights come from: less on top and left.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        around = kernel // 2 if stride == 1 else 0
        super().__init__(
            nn.Conv2d(before, after, kernel, stride, around, groups=groups, bias=False),
            Norm(after),
        )
        self.depthwise: Final = groups > 1
        before_it = (kernel - 2) // 2
        self.border: Final = () if stride == 1 else (before_it, kernel - 2 - before_it) * 2

    def forward(self, x: Tensor) -> Tensor:
        if self.border:
            x = F.pad(x, self.border)
        if self.depthwise:  # several times slower in bfloat16, especially its gradients
            with torch.autocast(x.device.type, enabled=False):
                return F.relu6(self._normed(x.float()))
        return F.relu6(self._normed(x))

    def _normed(self, x: Tensor) -> Tensor:
        convolution, norm = self
        y: Tensor = norm(convolution(x))
        return y


class Norm(nn.Module):
    """Batch normalisation with fixed ImageNet statistics: better than those of eight crops."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=1e-3
        )


class _Linear(_Unit):
    """`_Unit` without ReLU6."""

    def forward(self, x: Tensor) -> Tensor:
        return self._normed(x)


class _Block(nn.Module):
    """Inverted bottleneck: wide, depthwise, narrow; added to its input where the sizes agree."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = before * expansion
        self.expand = _Unit(before, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _Unit(wide, wide, kernel, stride, groups=wide)
        self.project = _Linear(wide, after, 1)
        self.adds: Final = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        t: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + t if self.adds else t


def multiple_of_8(n: float) -> int:
    """The nearest multiple of 8, not below nine tenths of n."""
    nearest = max(8, int(n + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * n else nearest
