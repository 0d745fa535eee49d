"""Integer coding tables: the only probabilities that encoder and decoder use.

They are computed once, when a model is saved, and stored with its weights: computed in floating
point on two machines, a table could differ in its last bit, which would make files unreadable.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PRECISION: Final = 16  # bits of a frequency
SYMBOL_MAX: Final = 2**15 - 1  # symbols lie within +-32767
Ints = NDArray[np.int32]


class Tables(NamedTuple):
    """Cumulative frequencies per row, as integers.

    Attributes:
        cdf: (rows, longest) int32, from 0 to 2^16; the last step is the escape; zero padded.
        length: (rows,) int32, used entries of each row.
        offset: (rows,) int32, symbol of the first entry.
    """

    cdf: Ints
    length: Ints
    offset: Ints

    @classmethod
    def of(cls, rows: list[list[int]], offsets: list[int]) -> "Tables":
        """From cumulative frequencies, row by row."""
        length = np.array([len(row) for row in rows], np.int32)
        cdf = np.zeros((len(rows), length.max(initial=0)), np.int32)
        for target, row in zip(cdf, rows, strict=True):
            target[: len(row)] = row
        return cls(cdf, length, np.array(offsets, np.int32))

    def check(self, rows: int) -> None:
        """Raises a ValueError if these are not valid tables with `rows` rows."""
        cdf, length, offset = (t.astype(np.int64) for t in self)
        shapes = cdf.ndim == 2 and length.shape == offset.shape == (rows,) == cdf.shape[:1]
        if not (shapes and ((length > 1) & (length <= cdf.shape[1])).all()):
            raise ValueError("coding tables: not cumulative frequencies")
        used = np.arange(cdf.shape[1]) < length[:, None]
        known = (
            (cdf[:, 0] == 0).all()
            and (cdf[np.arange(rows), length - 1] == 2**PRECISION).all()
            and (np.diff(cdf)[used[:, 1:]] >= 0).all()
            and (abs(offset) <= SYMBOL_MAX).all()
        )
        if not known:
            raise ValueError("coding tables: not cumulative frequencies")
