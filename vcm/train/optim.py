"""The optimiser: Adam whose steps cannot run away."""

import math
from typing import Final

import torch
from torch import Tensor, nn

from vcm.train.config import Optim

BETAS: Final = (0.9, 0.99)
LARGEST: Final = 1.5  # root mean square of a tensor's gradient, relative to what is usual for it
# Parts that spike at the full rate: kernels and gains that everything goes through.
SLOW: Final = ("model.g_a.linear", "model.g_s.linear", "model.gain.", "model.inverse_gain.")
# Deep and wide: a coherent step of many layers at once multiplies.
DEEP: Final = ("model.g_a.body16",)


def make(model: nn.Module, optim: Optim) -> torch.optim.Optimizer:
    """Adam over all parameters that learn; groups hold their "factor" on the learning rate."""
    factors = {SLOW: optim.slow, DEEP: optim.deep, (): 1.0}
    groups: dict[tuple[str, ...], list[nn.Parameter]] = {key: [] for key in factors}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = next((k for k in (SLOW, DEEP) if name.startswith(k)), ())
            groups[key].append(parameter)
    rows = [{"params": groups[key], "factor": factors[key]} for key in factors]
    return torch.optim.Adam(rows, lr=optim.lr, betas=BETAS, fused=True)


@torch.no_grad()
def tame(optimiser: torch.optim.Optimizer) -> None:
    """Shrink the gradients that are far larger than their tensor's were of late.

    Adam divides by the root of a running mean square. A gradient that this mean does not know yet
    moves a whole tensor by several times the learning rate; in a deep network that is the
    beginning of the end.

    Source: update clipping of Adafactor (Shazeer, Stern 2018) and StableAdamW (Wortsman et al.
    2023, arXiv:2304.13013). Deviation: the gradient is shrunk, so the moments are spared as well.
    """
    gradients, squares = [], []
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            state = optimiser.state.get(parameter)
            if parameter.grad is not None and state:
                correction = 1 - group["betas"][1] ** float(state["step"])
                gradients.append(parameter.grad)
                squares.append((state["exp_avg_sq"], correction))
    for gradient, (square, correction) in zip(gradients, squares, strict=True):
        ratio = _rms_ratio(gradient, square, correction)
        if ratio > LARGEST:
            gradient.mul_(LARGEST / ratio)


def _rms_ratio(gradient: Tensor, square: Tensor, correction: float) -> float:
    mean = gradient.square().div_(square + 1e-16).mean().item() * correction
    return math.sqrt(mean)
