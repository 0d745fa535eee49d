"""The initial linear transforms: the KLT of 16x16 RGB blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vcm.codec.format.constants import ORDER, PASSES
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.entropy import SCALE_MIN, SCALE_STEP
from vcm.codec.nets.integer import BIAS_UNIT, IntConv2d


def klt(blocks: Tensor, M: int) -> tuple[Tensor, Tensor]:
    """The M leading directions of blocks and their standard deviations.

    Args:
        blocks: (n, 3, 16, 16) float32 in [-0.5, 0.5].

    Returns:
        (M, 3, 16, 16) orthonormal, and (M,).
    """
    flat = blocks.flatten(1).double()
    values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    order = values.argsort(descending=True)[:M]
    return vectors[:, order].T.reshape(M, 3, 16, 16).float(), values[order].clamp(min=0).sqrt()


def start_from_klt(model: RoiHyperprior, blocks: Tensor) -> None:
    """Set the linear paths of g_a and g_s to the KLT and its inverse, and the scales to match."""
    kernel, std = klt(blocks, model.sizes.M)
    unshuffled = F.pixel_unshuffle(kernel, 8)  # (M, 192, 2, 2)
    with torch.no_grad():
        model.encoder.g_a.linear.weight.copy_(unshuffled)
        model.decoder.g_s.linear.weight.copy_(unshuffled)
        middle_gain = model.encoder.gain.log_gain.mean(0).exp()
        index = ((std.float() * middle_gain / SCALE_MIN).log() / SCALE_STEP).clamp(1, 60)
        groups = ((index - 18) * 4 / BIAS_UNIT).view(-1, PASSES).T  # (group, M/4)
        for order, last in zip(ORDER, model.decoder.parameters_y.out, strict=True):
            assert isinstance(last, IntConv2d)
            assert last.bias is not None
            rows = last.bias.view(PASSES, 2, -1)[:, 0]  # (place, M/4)
            rows.copy_(groups[torch.arange(PASSES) ^ order])
