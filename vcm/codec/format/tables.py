"""Integer coding tables: the only probabilities that encoder and decoder use.

Tables are computed once, when a model is saved, and travel with its weights: a table computed from
floating point on two machines could differ in its last bit and lose a whole file.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vcm.codec.format.coder import PRECISION, SYMBOL_MAX
from vcm.codec.nets.entropy import Z_MAX, scale_table

TAIL_SIGMAS = 5.0  # what lies beyond is coded by the coder's escape, about once in two million


class Tables(NamedTuple):
    """Cumulative frequencies per row, as integers.

    Attributes:
        cdf: (rows, longest + 2) int32, from 0 to 2^16, the last step is the escape; zero padded.
        length: (rows,) int32, used entries of each row.
        offset: (rows,) int32, symbol of the first entry.
    """

    cdf: Tensor
    length: Tensor
    offset: Tensor

    def check(self, rows: int) -> None:
        """Raises a ValueError if they are no tables of so many rows."""
        cdf, length = self.cdf.long(), self.length.long()
        used = torch.arange(cdf.shape[1]) < length[:, None]
        last = cdf.gather(1, length[:, None].clamp(1, cdf.shape[1]) - 1)
        known = (
            cdf.shape[0] == len(length) == len(self.offset) == rows
            and bool(((length > 1) & (length <= cdf.shape[1])).all())
            and bool(((cdf[:, 0] == 0) & (last[:, 0] == 2**PRECISION)).all())
            and bool((cdf.diff(dim=1)[used[:, 1:]] >= 0).all())
            and bool((self.offset.long().abs() <= SYMBOL_MAX).all())
        )
        if not known:
            raise ValueError("coding tables: no cumulative frequencies")


def quantised(pmfs: list[Tensor], offsets: list[int]) -> Tables:
    """Tables of probabilities: each (n,) float64, what lacks to 1 is the escape's."""
    # Only where tables are made, not where files are coded: importing compressai takes seconds.
    from compressai._CXX import pmf_to_quantized_cdf

    rows = []
    for pmf in pmfs:
        escape = (1 - pmf.sum()).clamp(min=2.0**-PRECISION)
        rows.append(pmf_to_quantized_cdf([*pmf.tolist(), float(escape)], PRECISION))
    cdf = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int32)
    for target, row in zip(cdf, rows, strict=True):
        target[: len(row)] = torch.tensor(row, dtype=torch.int32)
    length = torch.tensor([len(row) for row in rows], dtype=torch.int32)
    return Tables(cdf, length, torch.tensor(offsets, dtype=torch.int32))


def gaussian_tables() -> Tables:
    """One row for each scale of `scale_table`: Gaussian mass of each integer."""
    pmfs, offsets = [], []
    for scale in scale_table():
        reach = int(torch.ceil(scale * TAIL_SIGMAS).item())
        k = torch.arange(-reach, reach + 1, dtype=torch.float64)
        normal = torch.special.ndtr
        pmfs.append(normal((k + 0.5) / scale) - normal((k - 0.5) / scale))
        offsets.append(-reach)
    return quantised(pmfs, offsets)


def factorized_tables(bottleneck: Any) -> Tables:
    """One row for each channel of a CompressAI EntropyBottleneck, symbols -15 to 15."""
    channels = bottleneck.quantiles.shape[0]
    k = torch.arange(-Z_MAX, Z_MAX + 1, dtype=torch.float32).expand(channels, 1, -1)
    with torch.no_grad():
        likelihood, _, _ = bottleneck._likelihood(k, stop_gradient=True)
    return quantised(list(likelihood[:, 0].double()), [-Z_MAX] * channels)
