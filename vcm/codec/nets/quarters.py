"""Moves between a latent and the quarter of it that a pass codes."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from vcm.codec.format.constants import PASSES
from vcm.codec.format.walk import places

Places = Callable[[int], Iterable[tuple[int, int, int]]]  # `walk.places`, or a study's own
Move = Callable[[int, Tensor, Places], Tensor]


def quarter(number: int, t: Tensor, where: Places = places) -> Tensor:
    """The elements that a pass codes: (B, M, h/2, w/2), from (B, M, h, w) with even h and w.

    Channels are ordered by position in the 2x2 squares, M/4 for each.
    """
    if not t.requires_grad:
        return _quarter(number, t, where)
    return _Moved.apply(number, t, _quarter, _spread, where)  # type: ignore[no-any-return]


def spread(number: int, q: Tensor, where: Places = places) -> Tensor:
    """The inverse of `quarter`: (B, M, h, w), channels last, 0 where other passes code."""
    if not q.requires_grad:
        return _spread(number, q, where)
    return _Moved.apply(number, q, _spread, _quarter, where)  # type: ignore[no-any-return]


def place(number: int, q: Tensor, target: Tensor, where: Places = places) -> None:
    """Copy a quarter back to where `quarter` took it from.

    Args:
        q: (B, M, h/2, w/2).
        target: (B, M, h, w); if h or w is odd, the last row or column of q is dropped.
    """
    groups = target.unflatten(1, (-1, PASSES))  # type: ignore[no-untyped-call]
    for (g, i, j), part in zip(where(number), q.chunk(PASSES, 1), strict=True):
        there = groups[:, :, g, i::2, j::2]
        there.copy_(part[..., : there.shape[-2], : there.shape[-1]])


def _quarter(number: int, t: Tensor, where: Places) -> Tensor:
    groups = t.reshape(len(t), -1, PASSES, *t.shape[2:])  # (B, M/4, group, h, w)
    return torch.cat([groups[:, :, g, i::2, j::2] for g, i, j in where(number)], dim=1)


def _spread(number: int, q: Tensor, where: Places) -> Tensor:
    batch, channels, h, w = q.shape
    size = (batch, channels, 2 * h, 2 * w)
    t = torch.empty(size, dtype=q.dtype, device=q.device, memory_format=torch.channels_last)
    place(number, q, t.zero_(), where)
    return t


class _Moved(torch.autograd.Function):
    """A move of elements whose gradient is the move back; `_quarter` and `_spread` are a pair.

    Autograd's own gradient would copy the whole latent for every place.
    """

    @staticmethod
    def forward(ctx: Any, number: int, t: Tensor, move: Move, back: Move, where: Places) -> Tensor:
        ctx.number, ctx.back, ctx.where = number, back, where
        return move(number, t, where)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None, None]:
        return None, ctx.back(ctx.number, gradient, ctx.where), None, None, None
