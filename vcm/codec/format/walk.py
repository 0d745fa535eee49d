"""The order in which the symbols of y are coded, whatever library holds the arrays.

Four passes over all tiles. What is known of y before a pass, from z and from earlier passes, gives
the table row and the mean of each symbol that the pass codes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.constants import MEAN_UNIT, ORDER, PASSES, Y_HAT_MAX
from vcm.codec.format.tiles import Tile

# From means and rows of a pass in a tile, its number and the tile: symbols, 0 where the row is 0.
Code = Callable[[Any, Any, int, Tile], Any]


class Known(Protocol):
    """What is known of a latent while it is coded."""

    def parameters(self, number: int, tile: Tile) -> Sequence[Any]:
        """Table rows and means of what a pass codes in a tile, each (M, h/2, w/2)."""

    def learn(self, number: int, tile: Tile, value: Any) -> None:
        """Take in what was coded: y_hat in sixteenths, in the same layout."""


def walk(known: Known, grid: Sequence[Tile], code: Code) -> Iterator[tuple[int, Tile, Any]]:
    """All passes over all tiles in coding order: number, tile, and y_hat in sixteenths there.

    `code` is where encoder and decoder differ.
    """
    for number in range(PASSES):
        for tile in grid:
            rows, means = known.parameters(number, tile)
            symbols = code(means, rows, number, tile)
            value = ((symbols + means) * MEAN_UNIT).clip(-Y_HAT_MAX, Y_HAT_MAX)
            known.learn(number, tile, value)
            yield number, tile, value


def places(number: int) -> Iterator[tuple[int, int, int]]:
    """Channel group, row and column in the 2x2 square, of the four places of a pass."""
    for position in range(PASSES):
        yield position ^ ORDER[number], position // 2, position % 2


def z_rows(channels: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Table row of each z symbol in coding order, its channel: (channels * rows * columns,)."""
    return np.repeat(np.arange(channels, dtype=np.uint8), rows * columns)
