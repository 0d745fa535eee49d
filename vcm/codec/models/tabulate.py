"""Coding tables made from probabilities, when a model is saved."""

from typing import Any

import torch
from torch import Tensor

from vcm.codec.format.constants import Z_MAX
from vcm.codec.format.tables import PRECISION, Tables
from vcm.codec.nets.entropy import scale_table

TAIL_SIGMAS = 5.0  # symbols beyond this, about one in two million, are coded as escapes


def quantised(pmfs: list[Tensor], offsets: list[int]) -> Tables:
    """Tables from probabilities, each (n,) float64; the escape gets what is missing to 1."""
    # Imported here because it takes seconds, and coding files does not need it.
    from compressai._CXX import pmf_to_quantized_cdf

    rows = []
    for pmf in pmfs:
        escape = (1 - pmf.sum()).clamp(min=2.0**-PRECISION)
        rows.append(pmf_to_quantized_cdf([*pmf.tolist(), float(escape)], PRECISION))
    return Tables.of(rows, offsets)


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
