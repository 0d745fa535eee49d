"""A mask by square blocks."""

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

BLOCK = 16  # pixels; the finest that x265's QP map is
A = TypeVar("A", bound=np.generic)


def largest(mask: NDArray[A], side: int) -> NDArray[A]:
    """The largest value of each square block: (ceil(H/side), ceil(W/side)), of (H, W).

    Of a bool mask: whether the block has any of it.
    """
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % side), (0, -width % side)))
    blocks: NDArray[A] = padded.reshape(len(padded) // side, side, -1, side).max((1, 3))
    return blocks


def runs(blocks: NDArray[np.bool_], height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles x, y, w, h, in pixels, that cover the 16-pixel blocks; none overlap.

    One for each run in a row of blocks; equal runs of rows below each other are one.

    Args:
        height, width: of the picture, which the last blocks may reach over.
    """
    begun: dict[tuple[int, int], int] = {}  # runs of the row above, and where they began
    for row, line in enumerate([*blocks, np.zeros(blocks.shape[1], np.bool_)]):
        edges = np.flatnonzero(np.diff(np.pad(line, 1).astype(np.int8)))
        here = {(start, end): row for start, end in edges.reshape(-1, 2).tolist()}
        for (start, end), top in begun.items():
            if (start, end) in here:
                here[start, end] = top
                continue
            x, y = start * BLOCK, top * BLOCK
            yield x, y, min(end * BLOCK, width) - x, min(row * BLOCK, height) - y
        begun = here


def offsets(values: NDArray[Any], side: int) -> NDArray[np.int64]:
    """QP offset of each block, -6 log2 of its largest mask value: 0 where that is 1.

    Six QPs are twice the quantiser's step, so four times the squared error, which a mask value of
    one half weighs by a quarter.

    Args:
        values: (H, W) floating point in (0, 1].
    """
    m = largest(values, side).astype(np.float64)
    return (-6 * np.log2(m)).round().astype(np.int64)
