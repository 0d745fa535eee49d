"""Finding the quality that gives a wanted size."""

from collections.abc import Callable

from vcm.errors import SpecError

TOLERANCE = 0.01  # relative; two neighbouring qualities of 10,001 differ by less


def quality_for(size_of: Callable[[float], int], target: int) -> float:
    """The quality, in hundredths, whose size is nearest to `target` bytes.

    Args:
        size_of: size in bytes of the file of a quality; grows with it.

    Raises:
        SpecError: if even the lowest quality is larger, or the highest smaller, than the target.
    """
    low, high = 0, 10_000
    smallest, largest = size_of(0.0), size_of(100.0)
    if not smallest <= target * (1 + TOLERANCE) or not largest >= target * (1 - TOLERANCE):
        raise SpecError(
            f"this picture with this mask takes {smallest} to {largest} bytes; {target} is outside"
        )
    best = min((abs(smallest - target), low), (abs(largest - target), high))
    while high - low > 1 and best[0] > TOLERANCE * target / 10:
        middle = (low + high) // 2
        size = size_of(middle / 100)
        best = min(best, (abs(size - target), middle))
        low, high = (middle, high) if size < target else (low, middle)
    return best[1] / 100
