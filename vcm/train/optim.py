"""The optimiser: Adam whose steps cannot run away."""

import math
from typing import Final

import torch
from torch import nn

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
    2023, arXiv:2304.13013). Deviations: the gradient is shrunk, so the moments are spared as
    well, and a tensor's sums are compared, which is cheap, instead of the mean of its ratios.
    """
    for group in optimiser.param_groups:
        known = [p for p in group["params"] if p.grad is not None and optimiser.state.get(p)]
        if not known:
            continue
        gradients = [p.grad for p in known]
        squares = [optimiser.state[p]["exp_avg_sq"] for p in known]
        correction = 1 - group["betas"][1] ** float(optimiser.state[known[0]]["step"])
        energy = torch.stack(torch._foreach_norm(gradients)).square()
        usual = torch.stack([s.sum() for s in squares]) / correction
        # not less than a tenth: what begins to learn later has no usual gradient yet
        factors = (LARGEST * (usual / energy.clamp(min=1e-30)).sqrt()).clamp(0.1, 1)
        torch._foreach_mul_(gradients, list(factors))


def learning_rate(config: Optim, step: int) -> float:
    """Linear warm-up, flat, then half a cosine to zero at the last step."""
    start = config.decay_from * config.steps
    progress = max(0.0, (step - start) / max(1.0, config.steps - start))
    warm = min(1.0, (step + 1) / config.warmup)
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * progress))
