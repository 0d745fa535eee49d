"""Values of a JSON file of people's: read where their meaning is plain, else refused by name."""

import json
import math
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final

from vcm.errors import SpecError

Entry = dict[str, Any]
SHOWN: Final = 40  # characters of a value in a message


def parse(path: Path) -> Entry:
    """The object in a JSON file, with or without a byte order mark; unchecked.

    Raises:
        SpecError: it cannot be read, or is no JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{path}: not a COCO file: not readable as JSON ({reason})") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path}: not a COCO file: expected an object, got {shown(data)}")
    return data


def rows(data: Entry, key: str, where: str) -> Iterator[tuple[str, Entry]]:
    """The objects of a list, each with what messages call it; null is an empty list.

    Raises:
        SpecError: it is no list, or one of them is no object.
    """
    found = data.get(key)
    if not isinstance(found, list | None):
        raise SpecError(f"{where}: {key}: expected a list, got {shown(found)}")
    for place, row in enumerate(found or ()):
        at = f"{where}: {key}[{place}]"
        if not isinstance(row, dict):
            raise SpecError(f"{at}: expected an object, got {shown(row)}")
        yield at, row


def number(value: object, where: str) -> float:
    """A finite number, which may be written as a string.

    Raises:
        SpecError: if it is none.
    """
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
        if math.isfinite(found):
            return found
    raise SpecError(f"{where}: expected a number, got {shown(value)}")


def identity(value: object, where: str) -> Hashable:
    """An id: a whole number, which may be written as a string, or a name.

    Raises:
        SpecError: if it is none.
    """
    if isinstance(value, str) and value.strip():
        text = value.strip()
        return int(text) if text.isdecimal() and len(text) < SHOWN else text
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise SpecError(f"{where}: expected an id, got {shown(value)}")


def shown(value: object) -> str:
    """A value in a message: not all of a long one."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
