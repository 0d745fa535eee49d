"""Convolutions in exact integers: results that choose coding tables must not depend on the machine.

Activations are integers in [-255, 255], weights are integers in [-127, 127] times a power of two
per output channel, chosen so that no partial sum reaches 2^24. Such sums are exact in float32 in
any order, and so are the steps after them (a power of two, one rounding): thread count, instruction
set and batch cannot change a result.

Source: Balle, Johnston, Minnen 2019, "Integer networks for data compression with latent-variable
models". Deviation: powers of two instead of learnt integer divisors, so that no division is needed.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcm.codec.nets.int8 import Int8Conv, is_exact

ACTIVATION_MAX = 255
SIGNED_ZERO = 128  # the byte that stands for 0 where activations have a sign
WEIGHT_MAX = 127
BIAS_UNIT = 64.0  # biases are as large as activations; divided by this, as weights, for Adam


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
        v: any shape, integers (latents in sixteenths). IEEE 754 rounds square roots correctly, so
            the result is the same on every machine.
    """
    root = (v.abs() + 16).sqrt() * 4 - 16
    return round_ste(root.clamp(max=WEIGHT_MAX)) * v.sign()


def sums_bytes(model: nn.Module) -> bool:
    """Whether convolutions of the model use byte instructions when given bytes."""
    frozen = [m.frozen() for m in model.modules() if isinstance(m, IntConv2d)]
    return any(f is not None and f.bytewise is not None for f in frozen)


def freeze(model: nn.Module) -> None:
    """Freeze the integer layers of a model for inference.

    Raises:
        ValueError: if the sums of a layer would not be exact.
    """
    for module in model.modules():
        if isinstance(module, IntConv2d):
            module.freeze()


class Frozen(NamedTuple):
    """What a layer derives from its parameters when it is frozen.

    Attributes:
        stamp: identifies the parameters at that time.
        integers: weights, biases and scale, as `IntConv2d.scaled` gives them.
        bytewise: the same convolution for bytes, if the processor is exact at them.
    """

    stamp: tuple[int, ...]
    integers: tuple[Tensor, Tensor, Tensor]
    bytewise: Int8Conv | None


class IntConv2d(nn.Conv2d):
    """Convolution of integers by integers with a result in multiples of a power of two.

    The parameters stay float32 for training; `scaled` derives the integers. In training, rounding
    lets gradients through and autocast may use bfloat16; without autocast, results are exact.

    Activations are float32, or uint8 with `zero` added, which is far faster in a frozen layer.

    Args:
        signed: whether uint8 activations have 128 added, so that they can be negative.
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
        self._frozen: Frozen | None = None

    def freeze(self) -> None:
        """Derive the integers once instead of at every call, for inference.

        They are used as long as the parameters do not change and do not require gradients.

        Raises:
            ValueError: if no scale keeps the sums exact.
        """
        with torch.no_grad():
            weight, bias, scale = self.scaled()
        sums = ACTIVATION_MAX * weight.abs().flatten(1).sum(1, dtype=torch.float64) + bias.abs()
        if not (weight.abs().max() <= WEIGHT_MAX and sums.max() < 2**24):
            raise ValueError("weights are too large for exact sums, or not numbers")
        bytewise = None
        if weight.is_cpu and is_exact():
            bytewise = Int8Conv(weight, bias, scale, self.groups, self.zero)
        self._frozen = Frozen(self._stamp(), (weight, bias, scale), bytewise)

    def frozen(self) -> Frozen | None:
        """What `freeze` derived, unless the parameters have changed or are being trained."""
        if self._frozen is None or torch.compiler.is_compiling():  # for export they are constants
            return self._frozen
        learning = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        return None if learning or self._frozen.stamp != self._stamp() else self._frozen

    def _stamp(self) -> tuple[int, ...]:
        """Changes when a parameter is changed in place, moved or replaced."""
        assert self.bias is not None
        pair = (self.weight, self.bias)
        places = (n for t in pair for n in (id(t), t.data_ptr()))
        return (*places, *(0 if t.is_inference() else t._version for t in pair))

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles keep only whether it was frozen, and derive their own integers."""
        return self.__dict__ | {"_frozen": self.frozen() is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"_frozen": None})  # type: ignore[no-untyped-call]
        if state["_frozen"]:
            self.freeze()

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
        frozen = self.frozen()
        if a.dtype == torch.uint8:
            if frozen is not None and frozen.bytewise is not None and a.is_cpu:
                return frozen.bytewise(a)
            a = a.float() - self.zero
        weight, bias, scale = self.scaled() if frozen is None else frozen.integers
        if not self.training and a.is_cuda:  # float32 algorithms of GPUs may not be plain sums
            a, weight, bias, scale = (
                t.to(a.device, torch.float64) for t in (a, weight, bias, scale)
            )
        total = F.conv2d(a, weight, padding=self.padding, groups=self.groups)
        return ((total + bias[:, None, None]) / scale[:, None, None]).float()

    def relu(self, a: Tensor) -> Tensor:  # (B, I, h, w) integers -> (B, O, h, w)
        """`relu_int` of the convolution; bytes where the activations are bytes."""
        if a.dtype == torch.uint8 and a.is_cpu:
            frozen = self.frozen()
            if frozen is not None and frozen.bytewise is not None:
                return frozen.bytewise.relu(a)
        return relu_int(self(a)).to(a.dtype)
