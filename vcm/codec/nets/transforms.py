"""Analysis and synthesis transforms that ordinary CPUs run fast.

Each is a linear transform (16x16 blocks, initialised with the KLT of photographs) plus a parallel
convolutional network that starts near zero: training begins with a working transform codec and
learns the rest. Resolutions: 1/8 by PixelUnshuffle, 1/16 for the latent.
"""

from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.nets.control import Controls
from vcm.codec.nets.gain import Gain


@dataclass(frozen=True)
class Widths:
    """Channels and residual blocks of a transform at 1/8 and 1/16 of the picture."""

    n8: int
    n16: int
    blocks8: int
    blocks16: int

    @property
    def reach(self) -> int:
        """How far a transform sees, in latents, rounded up: half a latent in its first or last
        layer, and two convolutions a block."""
        return 1 + self.blocks8 + 2 * self.blocks16


class ResBlock(nn.Module):
    """Two 3x3 convolutions and a skip."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.conv2.weight, std=0.1 * (1 / (9 * channels)) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(F.leaky_relu(self.conv1(x), 0.1))
        return x + residual


def to_blocks(x: Tensor) -> Tensor:
    """A picture in blocks of 8x8: (B, 192, H/8, W/8) float32 in [-0.5, 0.5], channels last.

    Args:
        x: (B, 3, H, W) uint8, or floating point in [0, 1]; H and W multiples of 8.
    """
    n, _, height, width = x.shape
    u = x.permute(0, 2, 3, 1).reshape(n, height // 8, 8, width // 8, 8, 3)
    u = u.permute(0, 1, 3, 5, 2, 4).reshape(n, height // 8, width // 8, 192).permute(0, 3, 1, 2)
    return u.float().div_(255).sub_(0.5) if x.dtype == torch.uint8 else u.float() - 0.5


def from_blocks(u: Tensor) -> Tensor:
    """The inverse layout; values are kept: (B, 3, H, W) from (B, 192, H/8, W/8), channels last."""
    n, _, height, width = u.shape
    x = u.permute(0, 2, 3, 1).reshape(n, height, width, 3, 8, 8)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(n, 8 * height, 8 * width, 3).permute(0, 3, 1, 2)


def blocks(channels: int, count: int) -> nn.Sequential:
    """`count` residual blocks of `channels` channels."""
    return nn.Sequential(*(ResBlock(channels) for _ in range(count)))


class Analysis(nn.Module):
    """g_a: picture -> latent y0 before mask and gain, and the features that LMA reads."""

    def __init__(self, M: int, widths: Widths):
        super().__init__()
        n8, n16, blocks8, blocks16 = astuple(widths)
        self.linear = nn.Conv2d(192, M, 2, stride=2, bias=False)
        self.head = nn.Conv2d(192, n8, 3, padding=1)
        self.body8 = blocks(n8, blocks8)
        self.down = nn.Conv2d(n8, n16, 2, stride=2)
        self.body16 = blocks(n16, blocks16)
        self.tail = nn.Conv2d(n16, M, 1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """y0: (B, M, h, w) float32; features: (B, n16, h, w).

        Args:
            u: (B, 192, H/8, W/8), a picture by `to_blocks`; H and W multiples of 16.
        """
        with torch.autocast(u.device.type, enabled=False):  # bfloat16 is too coarse for its range
            linear = self.linear(u)  # (B, M, h, w)
        f = self.down(self.body8(self.head(u)))
        features = self.body16(f)  # (B, n16, h, w)
        return linear + self.tail(features).float(), features


class Synthesis(nn.Module):
    """g_s: latent -> picture."""

    def __init__(self, M: int, widths: Widths, below: int = 0):
        super().__init__()
        n8, n16, blocks8, blocks16 = astuple(widths)
        self.linear = nn.ConvTranspose2d(M, 192, 2, stride=2, bias=False)
        self.head = nn.Conv2d(M, n16, 1)
        self.quality16 = Gain(n16, below=below)
        self.body16 = blocks(n16, blocks16)
        self.up = nn.Conv2d(n16, 4 * n8, 1)
        self.quality8 = Gain(n8, below=below)
        self.body8 = blocks(n8, blocks8)
        self.tail = nn.Conv2d(n8, 192, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(self, y0_hat: Tensor, control: Controls) -> Tensor:
        """A picture as `to_blocks` gives it: (B, 192, H/8, W/8) float32, not clamped.

        Args:
            y0_hat: (B, M, h, w) float32, dequantised latent after the inverse gain.
            control: of the batch.
        """
        with torch.autocast(y0_hat.device.type, enabled=False):
            linear = self.linear(y0_hat)  # (B, 192, H/8, W/8)
        f = self.head(4 * y0_hat) * self.quality16(control)
        f = self.up(self.body16(f))
        f = self.body8(F.pixel_shuffle(f, 2) * self.quality8(control.finer()))
        return linear + self.tail(f).float()  # type: ignore[no-any-return]
