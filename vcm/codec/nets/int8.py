"""Exact convolutions of bytes, many times faster than float32 on processors that have them.

Processors with VNNI or AMX add up products of bytes in 32 bits. Older ones add pairs of them in 16
bits, which overflows: there `is_exact` is False, and float32 computes the sums (see integer.py).
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor


class Int8Conv:
    """A convolution of bytes by oneDNN's kernels for quantised networks.

    Args:
        weight: (O, I / groups, k, k) float32, integers in [-127, 127].
        bias: (O,) float32, integers.
        scale: (O,) float32, powers of two; results are divided by them.
        zero: the byte that stands for 0.
    """

    def __init__(self, weight: Tensor, bias: Tensor, scale: Tensor, groups: int, zero: int):
        self._padding, self._groups, self._zero = [weight.shape[-1] // 2] * 2, groups, zero
        self._step, self._bias = 1 / scale, bias / scale
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._weight = torch.ops.onednn.qconv_prepack(
            weight.to(torch.int8),
            self._step,
            1.0,
            zero,
            [1, 1],
            self._padding,
            [1, 1],
            groups,
            None,
        )

    def __call__(self, a: Tensor) -> Tensor:
        """The unrounded result, (B, O, h, w) float32, from (B, I, h, w) uint8."""
        return self._run(a, torch.float32, "none")

    def relu(self, a: Tensor) -> Tensor:
        """The result rounded and clamped to [0, 255]: (B, O, h, w) uint8."""
        return self._run(a, torch.uint8, "relu")

    def _run(self, a: Tensor, dtype: torch.dtype, activation: str) -> Tensor:
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            a.contiguous(memory_format=torch.channels_last),
            1.0,
            self._zero,
            self._weight,
            self._step,
            self._zeros,
            self._bias,
            [1, 1],
            self._padding,
            [1, 1],
            self._groups,
            1.0,
            0,
            dtype,
            activation,
            [],
            "",
        )
        return result


@functools.cache
def is_exact() -> bool:
    """Whether this processor and this build of torch get the largest sums right."""
    generator = torch.Generator().manual_seed(0)
    signs = 2 * torch.randint(0, 2, (32, 1, 3, 3), generator=generator) - 1
    weight = 127.0 * (signs * (torch.arange(64) < 16)[:, None, None])  # (32, 64, 3, 3)
    bias, scale = 1024 * torch.arange(32.0), torch.full((32,), 2.0**14)
    a = torch.full((1, 64, 9, 9), 255, dtype=torch.uint8)
    for zero in (0, 128):
        exact = F.conv2d(a.double() - zero, weight.double(), bias.double(), padding=1) / 2**14
        try:
            conv = Int8Conv(weight, bias, scale, 1, zero)
            found, activated = conv(a), conv.relu(a)
        except (AttributeError, RuntimeError, TypeError):  # not in this build
            return False
        if not torch.equal(found.double(), exact):
            return False
        if not torch.equal(activated.double(), exact.round().clamp(0, 255)):
            return False
    return True
