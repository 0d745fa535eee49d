"""Importance of places: against the whole Jacobian, and of a real detector."""

import pytest
import torch
from torch import nn

from vcm.models import load_teacher
from vcm.vision.importance import BLOCK, importance

pytestmark = pytest.mark.slow  # networks of others


class TwoLevels(nn.Module):
    """Features that are no linear function of the picture, small enough for a Jacobian."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fine = nn.Conv2d(3, 2, 4, stride=8)
        self.coarse = nn.Conv2d(3, 4, 8, stride=16)

    def features(self, x):
        return [self.fine(x).square(), torch.tanh(self.coarse(x))]


def exact(model, x):
    """Sum over the features of squared derivatives, of each level relative to its energy."""
    total = torch.zeros_like(x[:, 0])
    levels = model.features(x)
    for i, level in enumerate(levels):
        jacobian = torch.autograd.functional.jacobian(lambda t, i=i: model.features(t)[i], x)
        squares = jacobian.flatten(0, 3).square().sum((0, 2))  # (B, H, W)
        total += squares / (level.square().mean() * level.numel() * len(levels))
    return torch.nn.functional.avg_pool2d(total, BLOCK)


def test_random_projections_give_the_diagonal_of_the_jacobian():
    model, x = TwoLevels().requires_grad_(False), torch.rand(1, 3, 32, 64)
    x[..., 32:] *= 0.1  # half of the picture is dark: its squares say less
    wanted = exact(model, x)
    found = importance(model, x, 2000, torch.Generator().manual_seed(1))
    assert found.shape == (1, 2, 4)
    assert torch.allclose(found, wanted, rtol=0.15)
    assert not torch.allclose(found[..., :2].mean(), found[..., 2:].mean(), rtol=0.3)


def test_a_detector_looks_at_things_rather_than_at_nothing(shared, photos):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    model = load_teacher(str(shared / "weights" / "yolo11n.pt"))
    cat = torch.from_numpy(photos["cat"][:288, :448].copy()).permute(2, 0, 1)[None].float() / 255
    x = torch.cat([cat, torch.full_like(cat, 0.5)], 3)  # a cat beside grey
    found = importance(model, x, 4, torch.Generator().manual_seed(0))[0]
    assert found.shape == (18, 56) and bool((found > 0).all())
    assert found[:, :28].mean() > 2 * found[:, 28:].mean()
    again = importance(model, x, 4, torch.Generator().manual_seed(0))[0]
    assert torch.allclose(found, again)
