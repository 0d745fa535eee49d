"""TIC, the base codec of the paper: convolutions and Swin blocks, serial 5x5 context.

Source: Lu, Guo, Chen, Cui, Ma 2022, "Transformer-based image compression", arXiv:2111.06707.
Deviations: Swin blocks are torchvision's, without stochastic depth; the context is a masked
convolution and the entropy models are CompressAI's, where TIC has causal attention; the authors'
later code has three stages in g_a, of 1, 2 and 3 blocks.
"""

from collections.abc import Sequence
from typing import Any, Final

from compressai.models.google import JointAutoregressiveHierarchicalPriors
from compressai.models.utils import conv, deconv
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformerBlock

from vcm.codec.models.published import Preset

WINDOW: Final = 8  # side of an attention window, in elements; 4 in the hyper transforms
DEPTHS: Final = (2, 4, 6, 2)  # Swin blocks after each convolution of g_a; g_s mirrors it
HEADS: Final = (8, 8, 8, 16)


class Swin(nn.Sequential):
    """Swin blocks, every second one with shifted windows, and a skip over all of them.

    (B, C, h, w) -> (B, C, h, w).
    """

    def __init__(self, channels: int, depth: int, heads: int, window: int = WINDOW):
        shifts = [0 if i % 2 == 0 else window // 2 for i in range(depth)]
        super().__init__(
            *(
                SwinTransformerBlock(channels, heads, [window, window], [shift, shift])
                for shift in shifts
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x.permute(0, 2, 3, 1))  # type: ignore[no-untyped-call]
        return x + y.permute(0, 3, 1, 2)


class Tic(JointAutoregressiveHierarchicalPriors):  # type: ignore[misc]
    """CompressAI's joint autoregressive model with TIC's transforms.

    Args:
        N, M: channels of the transforms and of y.
        depths: Swin blocks at 1/2, 1/4, 1/8 and 1/16; those of the hyper transforms are fixed.
    """

    def __init__(self, N: int = 128, M: int = 192, depths: Sequence[int] = DEPTHS, **options: Any):
        super().__init__(N=N, M=M, **options)
        a, b, c, d = depths
        self.g_a = nn.Sequential(
            conv(3, N, 5, 2), Swin(N, a, HEADS[0]),
            conv(N, N, 3, 2), Swin(N, b, HEADS[1]),
            conv(N, N, 3, 2), Swin(N, c, HEADS[2]),
            conv(N, M, 3, 2), Swin(M, d, HEADS[3]),
        )  # fmt: skip
        self.g_s = nn.Sequential(
            Swin(M, d, HEADS[3]), deconv(M, N, 3, 2),
            Swin(N, c, HEADS[2]), deconv(N, N, 3, 2),
            Swin(N, b, HEADS[1]), deconv(N, N, 3, 2),
            Swin(N, a, HEADS[0]), deconv(N, 3, 5, 2),
        )  # fmt: skip
        self.h_a = nn.Sequential(
            conv(M, N, 3, 1), Swin(N, 2, HEADS[3], WINDOW // 2),
            conv(N, N, 3, 2), Swin(N, 2, HEADS[3], WINDOW // 2), conv(N, N, 3, 2),
        )  # fmt: skip
        self.h_s = nn.Sequential(
            deconv(N, N, 3, 2), Swin(N, 2, HEADS[3], WINDOW // 2),
            deconv(N, N, 3, 2), Swin(N, 2, HEADS[3], WINDOW // 2), conv(N, 2 * M, 3, 1),
        )  # fmt: skip


def of_preset(preset: Preset) -> Tic:
    """TIC, of a training config's table."""
    return Tic(preset.N, preset.M)
