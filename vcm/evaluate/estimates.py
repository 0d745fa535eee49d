"""Numbers of an evaluation with their 95 % intervals over pictures, or why there is none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number that there is.

    Attributes:
        low, high: of the interval; None: there is none, or that end is infinite.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class BdRate:
    """A BD-rate in percent; negative: fewer bits than the anchor.

    Attributes:
        value: None if there is none.
        reason: why there is none.
        overlap: share of the scores of both curves that both reach, in [0, 1].
        known: share of the resamples that have a BD-rate; None without resamples.
        thin: whether one of these shares is small.
        low, high: as of `Estimate`.
    """

    value: float | None
    reason: str = ""
    overlap: float = 0.0
    known: float | None = None
    thin: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RateAt:
    """Bits per pixel at which a curve first reaches a score.

    Attributes:
        value: None if it is not reached.
        reason: what was reached instead.
        at_most: whether the lowest rate measured reaches the score already.
        low, high: as of `Estimate`.
    """

    value: float | None
    reason: str = ""
    at_most: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """How many percent more bits one codec needs than another on the same pictures.

    Attributes:
        value: None if one of them does not reach the score.
        low, high: as of `Estimate`.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


Number = Estimate | BdRate | RateAt | Difference
