"""The optimiser: Adam with protection against exploding steps."""

import math
from typing import Any, Final

import torch
from torch import nn

from vcm.codec.models.halves import HALVES
from vcm.train.config import Optim

BETAS: Final = (0.9, 0.99)
LARGEST: Final = 1.5  # of the root mean square of a tensor's gradient, relative to the usual one
# Parts that spike at the full rate: kernels and gains that every signal passes through.
SLOW: Final = (
    "model.encoder.g_a.linear", "model.decoder.g_s.linear", "model.encoder.gain.",
    "model.decoder.inverse_gain.",
)  # fmt: skip
# Deep and wide: a coherent step in many layers at once multiplies.
DEEP: Final = ("model.encoder.g_a.body16",)
# The order of our model's parameters in old checkpoints, which do not have their names.
BEFORE: Final = ("g_a", "g_s", "lma", "gain", "inverse_gain", "h_a", "parameters_y")


def make(model: nn.Module, optim: Optim) -> torch.optim.Optimizer:
    """Adam over all parameters that learn. Each group has a "factor" on the learning rate, and the
    "names" of its parameters."""
    factors = {SLOW: optim.slow, DEEP: optim.deep, (): 1.0}
    groups: dict[tuple[str, ...], list[tuple[str, nn.Parameter]]] = {k: [] for k in factors}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = next((k for k in (SLOW, DEEP) if name.startswith(k)), ())
            groups[key].append((name, parameter))
    rows = [
        {
            "params": [p for _, p in groups[key]],
            "names": [name for name, _ in groups[key]],
            "factor": factors[key],
        }
        for key in factors
    ]
    return torch.optim.Adam(rows, lr=optim.lr, betas=BETAS, fused=True)


def restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take a checkpoint's state, in which parameters may have another order.

    Factors are not taken: the config that they come from may have changed since.
    """
    own = [{key: group[key] for key in ("names", "factor")} for group in optimiser.param_groups]
    now = [name for group in own for name in group["names"]]
    then = [
        name
        for group, saved in zip(own, state["param_groups"], strict=True)
        for name in saved.get("names", sorted(group["names"], key=_before))
    ]
    place = {name: i for i, name in enumerate(then)}
    moments = {i: state["state"].get(place[name]) for i, name in enumerate(now)}
    moments = {i: moment for i, moment in moments.items() if moment is not None}
    optimiser.load_state_dict(state | {"state": moments})
    for group, kept in zip(optimiser.param_groups, own, strict=True):
        group |= kept


def _before(name: str) -> int:
    """Position of a parameter of "model.encoder." or "model.decoder." before there were halves."""
    _, half, part, *_ = (*name.split("."), "", "")
    return BEFORE.index(part) if half in HALVES else len(BEFORE)


@torch.no_grad()
def tame(optimiser: torch.optim.Optimizer) -> None:
    """Shrink gradients that are far larger than their tensor's recent ones.

    Adam divides by the root of a running mean square. A sudden large gradient, which that mean does
    not include yet, moves a whole tensor by several times the learning rate, which a deep network
    may not recover from.

    Source: update clipping of Adafactor (Shazeer, Stern 2018) and StableAdamW (Wortsman et al.
    2023, arXiv:2304.13013). Deviations: the gradient is shrunk, which protects the moments as well,
    and the sums over a tensor are compared, which is cheap, instead of the mean of its ratios.
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
        # at least a tenth: parts that start to learn later have no usual gradient yet
        factors = (LARGEST * (usual / energy.clamp(min=1e-30)).sqrt()).clamp(0.1, 1)
        torch._foreach_mul_(gradients, list(factors))


def learning_rate(config: Optim, step: int) -> float:
    """Linear warm-up, flat, then half a cosine to zero at the last step."""
    start = config.decay_from * config.steps
    progress = max(0.0, (step - start) / max(1.0, config.steps - start))
    warm = min(1.0, (step + 1) / config.warmup)
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * progress))
