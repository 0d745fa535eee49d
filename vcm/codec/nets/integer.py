"""Convolutions in exact integers: what decides a coding table must be equal on every machine.

Activations are integers in [-255, 255], weights are integers in [-127, 127] times a power of two
per output channel, chosen so that no partial sum reaches 2^24. Such sums are exact in float32 in
any order, and every later step (a power of two, one rounding) is exact too: thread count,
instruction set and batch cannot change a result.

Source: Balle, Johnston, Minnen 2019, "Integer networks for data compression with latent-variable
models". Deviation: powers of two instead of learnt integer divisors, so that no division is needed.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.nets.int8 import Int8Conv, is_exact

ACTIVATION_MAX = 255
SIGNED_ZERO = 128  # the byte that stands for 0 where activations have a sign
WEIGHT_MAX = 127
BIAS_UNIT = 64.0  # biases live on the scale of activations; Adam needs them on the scale of weights


def round_ste(x: Tensor) -> Tensor:
    """Round to the nearest integer; the gradient is that of the identity."""
    return _Round.apply(x) if x.requires_grad else x.round()


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def relu_int(x: Tensor) -> Tensor:
    """Integers in [0, 255]: the activation between two integer convolutions."""
    return round_ste(F.hardtanh(x, 0, ACTIVATION_MAX))  # a clamp whose gradient is one operation


def compand(v: Tensor) -> Tensor:
    """Integers in [-127, 127] that grow like the square root of v.

    Args:
        v: any shape, integers (latents in sixteenths). The square root is correctly rounded by
            IEEE 754, so that the result is exact everywhere.
    """
    root = (v.abs() + 16).sqrt() * 4 - 16
    return round_ste(root.clamp(max=WEIGHT_MAX)) * v.sign()


def sums_bytes(model: nn.Module) -> bool:
    """Whether convolutions of the model sum bytes, where they are given bytes."""
    return any(m._int8 is not None for m in model.modules() if isinstance(m, IntConv2d))


class IntConv2d(nn.Conv2d):
    """Convolution of integers by integers with a result in multiples of a power of two.

    The parameters stay float32 for training; `scaled` derives the integers. In training the
    rounding lets gradients through and autocast may use bfloat16; without autocast it is exact.

    Activations are float32, or bytes: a + zero, which is faster by far in a frozen layer.

    Args:
        signed: whether activations are in [-127, 127]; they are in [0, 255] otherwise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        gain: float = 1.0,
        groups: int = 1,
        signed: bool = False,
    ):
        super().__init__(in_channels, out_channels, size, padding=size // 2, groups=groups)
        nn.init.normal_(self.weight, std=gain * (2 / self.weight[0].numel()) ** 0.5)
        assert self.bias is not None
        nn.init.zeros_(self.bias)
        self.zero = SIGNED_ZERO if signed else 0
        self._frozen: tuple[Tensor, Tensor, Tensor] | None = None
        self._int8: Int8Conv | None = None

    def freeze(self) -> None:
        """Derive the integers once and for all: for a model that is only used.

        Raises:
            ValueError: if no scale keeps the sums exact.
        """
        with torch.no_grad():
            self._frozen = weight, bias, _ = self.scaled()
        sums = ACTIVATION_MAX * weight.abs().flatten(1).sum(1, dtype=torch.float64) + bias.abs()
        if not (weight.abs().max() <= WEIGHT_MAX and sums.max() < 2**24):
            raise ValueError("weights are too large for exact sums, or no numbers")
        if is_exact():
            self._int8 = Int8Conv(*self._frozen, self.groups, self.zero)

    def scaled(self) -> tuple[Tensor, Tensor, Tensor]:
        """Integer weights (O, I, k, k), integer biases (O,) and the scale (O,), a power of two.

        The scale is computed in float64, where sums of weights stored as float16 are exact.
        """
        assert self.bias is not None
        magnitude = self.weight.detach().abs().flatten(1)
        peak = WEIGHT_MAX / magnitude.amax(1).double().clamp(min=1e-6)
        sums = magnitude.sum(1, dtype=torch.float64)
        total = 2.0**23 / (ACTIVATION_MAX * sums.clamp(min=1e-6))
        exponent = torch.frexp(torch.minimum(peak, total))[1] - 1
        scale = torch.ldexp(torch.ones_like(peak), exponent.clamp(-8, 14)).to(self.weight.dtype)
        weight = round_ste(self.weight * scale[:, None, None, None])
        bias = round_ste((self.bias * BIAS_UNIT * scale).clamp(-(2.0**22), 2.0**22))
        return weight, bias, scale

    def forward(self, a: Tensor) -> Tensor:  # (B, I, h, w) integers -> (B, O, h, w)
        """The convolution in units of the input, before any rounding: float32."""
        if a.dtype == torch.uint8:
            if self._int8 is not None and a.is_cpu:
                return self._int8(a)
            a = a.float() - self.zero
        weight, bias, scale = self._frozen or self.scaled()
        if not self.training and a.is_cuda:  # float32 algorithms of GPUs may not be plain sums
            a, weight, bias, scale = (
                t.to(a.device, torch.float64) for t in (a, weight, bias, scale)
            )
        total = F.conv2d(a, weight, padding=self.padding, groups=self.groups)
        return ((total + bias[:, None, None]) / scale[:, None, None]).float()

    def relu(self, a: Tensor) -> Tensor:  # (B, I, h, w) integers -> (B, O, h, w)
        """`relu_int` of the convolution; bytes where the activations are bytes."""
        if a.dtype == torch.uint8 and self._int8 is not None and a.is_cpu:
            return self._int8.relu(a)
        return relu_int(self(a)).to(a.dtype)
