"""The order in which the symbols of y are coded, whatever library holds the arrays.

Four passes over all tiles. The table row and the mean of each symbol in a pass follow from what is
known by then: z, and the elements of y that earlier passes coded.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.constants import MEAN_UNIT, ORDER, PASSES, Y_HAT_MAX
from vcm.codec.format.tiles import Tile

# (means, rows, number of the pass, tile) -> symbols, 0 where the row is 0
Code = Callable[[Any, Any, int, Tile], Any]


class Known(Protocol):
    """What is known of a latent while it is coded."""

    def parameters(self, number: int, tile: Tile) -> Sequence[Any]:
        """Table rows and means of the symbols of a pass in a tile, each (M, h/2, w/2)."""

    def learn(self, number: int, tile: Tile, value: Any) -> None:
        """Take in what was coded: y_hat in sixteenths, in the same layout."""


def walk(known: Known, grid: Sequence[Tile], code: Code) -> Iterator[tuple[int, Tile, Any]]:
    """All passes over all tiles in coding order: number of the pass, tile, y_hat in sixteenths.

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
    """The four places of a pass: channel group, and row and column in the 2x2 square."""
    for position in range(PASSES):
        yield position ^ ORDER[number], position // 2, position % 2


def z_rows(channels: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Table row, i.e. channel, of each z symbol in coding order: (channels * rows * columns,)."""
    return np.repeat(np.arange(channels, dtype=np.uint8), rows * columns)
