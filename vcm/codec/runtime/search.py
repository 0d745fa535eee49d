"""Finding the quality that gives a wanted size."""

from collections.abc import Callable

from vcm.errors import SpecError

TRIES, NEAR = 4, 0.02  # real files made at most, and the relative error that is good enough
TOLERANCE = 0.03  # the relative error that is promised
FOUND = 0.002  # the relative error at which the search on the estimate stops


def quality_for(size_of: Callable[[float], float], target: float) -> float:
    """The quality, 0 to 100 with two decimals, whose size is nearest to `target`.

    Args:
        size_of: size at a quality, in bytes; grows with it.

    Raises:
        SpecError: if even the lowest quality is larger, or the highest smaller, than the target by
            more than the tolerance.
    """
    low, high = 0, 10_000
    smallest, largest = size_of(0.0), size_of(100.0)
    if smallest > target * (1 + TOLERANCE) or largest < target * (1 - TOLERANCE):
        raise SpecError(
            f"with this mask the picture takes {smallest:.0f} to {largest:.0f} bytes: "
            f"{target:.0f} is out of reach",
            hint="size",
        )
    best = min((abs(smallest - target), low), (abs(largest - target), high))
    while high - low > 1 and best[0] > FOUND * target:
        middle = (low + high) // 2
        size = size_of(middle / 100)
        best = min(best, (abs(size - target), middle))
        low, high = (middle, high) if size < target else (low, middle)
    return best[1] / 100
