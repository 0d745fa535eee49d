"""Resamples of a set of pictures, and the 95 % intervals that numbers on them give."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
TAIL: Final = 0.025  # on either side of the interval
RESAMPLES: Final = 1_000
ENOUGH: Final = 0.5  # of the resamples that a number needs to have an interval


class Interval(NamedTuple):
    """Its ends; None: there is none, or it is infinite."""

    low: float | None = None
    high: float | None = None


def resamples(images: int, count: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each picture counts: (1 + count, images); first the whole set, then halves of it.

    A half of n pictures differs from all of them as much as n pictures from all that there are:
    the variance is (1 / (n / 2) - 1 / n) of a picture's. No picture is drawn twice, as it is in the
    plain bootstrap: AP of doubles is another, and varies too little (experiments/00_intervals).

    One picture has no resamples: nothing is known of how its scores vary.

    Source: Saigo, Shao and Sitter 2001, the repeated half-sample bootstrap, over pictures.
    """
    rng, count = np.random.default_rng(seed), count if images > 1 else 0
    order = rng.permuted(np.tile(np.arange(images), (count, 1)), axis=1)
    sizes = images // 2 + images % 2 * rng.integers(2, size=(count, 1))  # of odd ones either
    return np.concatenate([np.ones((1, images)), order < sizes])


def interval(value: float, resampled: Floats) -> Interval:
    """The bias-corrected bootstrap interval; no ends if too few resamples have the number.

    AP of fewer pictures is higher, so plain percentiles of resamples lie off the value. Here the
    percentiles are those that would be right if the value sat in the middle. An end that is
    infinite is None. experiments/00_intervals has how often such intervals hold the truth.

    Source: Efron 1981, "Nonparametric standard errors and confidence intervals".

    Args:
        value: of the set as it is.
        resampled: (R,), of each resample; nan: it has none.
    """
    known = resampled[~np.isnan(resampled)]
    if len(known) < ENOUGH * len(resampled) or not len(known):
        return Interval()
    below = ((known < value).mean() + (known <= value).mean()) / 2
    off = ndtri(np.clip(below, 0.5 / len(known), 1 - 0.5 / len(known)))
    places = ndtr(2 * off + ndtri([TAIL, 1 - TAIL]))
    # no interpolation: some may be infinite
    low, high = np.quantile(known, places, method="nearest")
    return Interval(_finite(low), _finite(high))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
