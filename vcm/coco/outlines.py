"""Masks of COCO labels: polygons and run lengths, checked before C code gets them."""

from typing import Any, Final

from vcm.coco.values import number, shown
from vcm.errors import SpecError

LEAST: Final = 6  # numbers of a polygon: three corners
FARTHEST: Final = 2**20  # pixels from the corner; beyond it pycocotools takes memory without end
Size = tuple[int, int]  # height and width


def outline(value: object, size: Size | None, where: str) -> Any:
    """The mask of a label as pycocotools takes it; None if it has none.

    Polygons of less than three corners have no area and are no part of it.

    Args:
        value: lists of x, y, x, y..., one such list, or {"size": [h, w], "counts": ...}.
        size: that run lengths must be of, if it is known.

    Raises:
        SpecError: if it is none of these.
    """
    if value is None or value == "":
        return None
    if isinstance(value, dict):
        return _runs(value, size, where)
    if not isinstance(value, list):
        raise SpecError(f"{where}: expected polygons or run lengths, got {shown(value)}")
    nested = all(isinstance(part, list) for part in value)
    found = [_polygon(part, where) for part in (value if nested else [value])]
    return [part for part in found if len(part) >= LEAST] or None


def _polygon(part: list[object], where: str) -> list[float]:
    values = [number(value, where) for value in part]
    if len(values) % 2 or any(abs(value) > FARTHEST for value in values):
        raise SpecError(f"{where}: expected x, y of each corner, got {shown(part)}")
    return values


def _runs(value: dict[str, Any], size: Size | None, where: str) -> dict[str, Any]:
    """Run lengths of all pixels, no more and no less."""
    sides, counts = value.get("size"), value.get("counts")
    if not isinstance(sides, list) or len(sides) != 2:
        raise SpecError(f"{where}: size: expected [height, width], got {shown(sides)}")
    said = height, width = tuple(number(side, f"{where}: size") for side in sides)
    if size is not None and said != size:
        raise SpecError(
            f"{where}: size: expected {list(size)}, that of the image, got {list(said)}"
        )
    at = f"{where}: counts"
    lengths = _decoded(counts, at) if isinstance(counts, str) else _listed(counts, at)
    if not 0 < height * width <= FARTHEST**2 or sum(lengths) != height * width:
        raise SpecError(f"{where}: counts: expected {said} pixels in all, got {sum(lengths)}")
    if any(length < 0 or length % 1 for length in lengths):
        raise SpecError(f"{where}: counts: expected lengths, got {shown(counts)}")
    return {
        "size": [int(height), int(width)],
        "counts": counts if isinstance(counts, str) else [int(length) for length in lengths],
    }


def _listed(counts: Any, where: str) -> list[float]:
    if not isinstance(counts, list):
        raise SpecError(f"{where}: expected run lengths, got {shown(counts)}")
    return [number(count, where) for count in counts]


def _decoded(text: str, where: str) -> list[float]:
    """The run lengths in COCO's string: five bits of a number a character, and whether it goes on.

    Source: pycocotools' `rleFrString`, which reads beyond the end of a string that is cut.
    """
    found: list[float] = []
    value = shift = 0
    for code in (ord(character) - 48 for character in text):
        if code not in range(64):
            raise SpecError(f"{where}: not the run lengths of COCO: {shown(text)}")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            found.append(value + (found[-2] if len(found) > 2 else 0))
            value = shift = 0
    if shift:
        raise SpecError(f"{where}: the string of run lengths is cut off")
    return found
