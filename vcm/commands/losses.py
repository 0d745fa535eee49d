"""What is missing from a stream, for reports; if anything is, the exit code is 2."""

from collections.abc import Mapping
from typing import Final

from vcm.container.stream import FrameStream

SHOWN: Final = 20  # frames at most; `lost` in a report has the numbers of all


def failed(stream: FrameStream, lost: Mapping[int, str]) -> dict[str, str]:
    """Reasons by what is missing: frames by number, and the end of a stream that breaks off."""
    found = {f"frame {number}": reason for number, reason in list(lost.items())[:SHOWN]}
    return found | ({"the end": stream.said} if stream.breaks_off else {})


def lines(lost: Mapping[int, str] | list[int], does: str) -> list[str]:
    """A line for people: how many frames, and the first of them; none if nothing is lost."""
    numbers = ", ".join(map(str, list(lost)[:SHOWN])) + (", ..." if len(lost) > SHOWN else "")
    return [f"{len(lost)} frames {does}: {numbers}"] if lost else []
