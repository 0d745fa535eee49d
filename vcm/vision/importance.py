"""How much a task model looks at each place of a picture."""

from typing import Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK: Final = 16  # pixels of a place's side


class Features(Protocol):
    """A frozen network whose features are a differentiable function of the picture."""

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps (B, C, h, w); x: (B, 3, H, W) float32 in [0, 1], RGB."""
        ...


def importance(model: Features, x: Tensor, projections: int, generator: torch.Generator) -> Tensor:
    """The weight under which a small squared error is the features' distance: (B, H/16, W/16).

    The mean over each block's pixels. The distance is that of the task loss: squared, of each level
    relative to its energy, the mean of the levels.

    Source: "Feature-preserving rate-distortion optimization", arXiv:2504.02216: the diagonal of
    J^T J, estimated by random projections s of the features as the mean of (J^T s)^2.

    Args:
        x: (B, 3, H, W) float32 in [0, 1], RGB; H and W multiples of 32.
        projections: how many; the estimate's variance falls with them.
    """
    x = x.detach().requires_grad_()
    features = model.features(x)
    sizes = [(f.detach().square().mean((1, 2, 3)) * f[0].numel() * len(features)) for f in features]
    total = torch.zeros_like(x[:, 0])
    for k in range(projections):
        parts = []
        for f, size in zip(features, sizes, strict=True):
            drawn = torch.randn(f.shape, generator=generator, device=generator.device)
            s = drawn.to(f.device) / size.sqrt()[:, None, None, None]
            parts.append((f * s).sum())
        kept = k + 1 < projections
        (gradient,) = torch.autograd.grad(torch.stack(parts).sum(), x, retain_graph=kept)
        total += gradient.square().sum(1) / projections
    return F.avg_pool2d(total, BLOCK)
