"""Coding tables fitted to the symbols that a trained model produces."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vcm.codec.format.control import Control
from vcm.codec.format.tables import PRECISION, Tables
from vcm.codec.models.tabulate import quantised
from vcm.codec.runtime.any_rate import AnyRate
from vcm.codec.runtime.latent import Latent
from vcm.train.data import mask_values
from vcm.train.photos import Photo

Counts = dict[str, NDArray[np.int64]]  # for each of the strings "z" and "y": (rows, entries)
PRIOR: Final = 1_000  # the model's own distribution of a row counts as this many symbols


def fitted(codec: AnyRate, photos: Sequence[Photo], seed: int = 0) -> dict[str, Tables]:
    """Tables with the frequencies of the symbols of photos, coded at random qualities and masks.

    Latents are not quite Gaussian: peaks are sharper and tails heavier. Few photos are enough to
    measure the shape of each row, because there are few rows and many symbols.

    Args:
        codec: a model with tables from its own distributions.
    """
    tables = codec.latents.tables
    counts: Counts = {
        name: np.zeros((len(t.cdf), t.cdf.shape[1] - 1), np.int64) for name, t in tables.items()
    }
    for latent in _latents(codec, photos, seed):
        codec.latents.count(latent, counts)
    return {name: _blend(table, counts[name]) for name, table in tables.items()}


def _latents(codec: AnyRate, photos: Sequence[Photo], seed: int) -> Iterator[Latent]:
    rng = np.random.default_rng(seed)
    for pixels, labels in photos:
        side = min(pixels.shape[:2])
        x = torch.from_numpy(pixels[:side, :side].copy()).permute(2, 0, 1)[None]
        m = mask_values(None if labels is None else labels[:side, :side], side, rng)
        analysed = codec.encoder.analyse(x, torch.from_numpy(m)[None, None])
        yield codec.encoder.quantise(analysed, Control(rng.uniform(0, 100)))


def _blend(table: Tables, counts: NDArray[np.int64]) -> Tables:
    """A table with rows that mix the counts with what they were."""
    pmfs = []
    for cdf, length, row in zip(table.cdf, table.length.tolist(), counts, strict=True):
        entries = torch.from_numpy(np.diff(cdf)[: length - 1])  # the escape is the last
        before = entries.double() / 2**PRECISION
        now = torch.from_numpy(row[: length - 1]) + PRIOR * before
        pmfs.append((now / now.sum())[:-1])
    return quantised(pmfs, table.offset.tolist())
