"""The manifest: a line of JSON for each picture, written when its file is complete."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from vcm.errors import OutputError

NAME: Final = "manifest.jsonl"
_BEGIN: Final = b'{"source": '  # of each line


@dataclass(frozen=True)
class Line:
    """One line. If there are several for a file, the last one counts.

    Attributes:
        source: where the picture came from.
        sha256: of the bytes of the source, in hex; "" if they could not be read.
        options: identifies everything else that the file depends on.
        file: path relative to the manifest's folder; in a shard: SHARD/MEMBER.
        file_sha256: of the bytes of the file; None if there is none.
        bytes: of the file.
        bpp: bits of the .vcm file for each pixel of the picture.
        roi: where the ROI came from, and whether anything was found.
        error: why there is no file, or None.
        set: in a shard: the set of pictures that was coded, as the user named it.
    """

    source: str
    sha256: str
    options: str
    file: str
    file_sha256: str | None = None
    bytes: int | None = None
    bpp: float | None = None
    roi: str | None = None
    error: str | None = None
    set: str | None = None

    def made_as(self, wanted: "Line") -> bool:
        """Whether its file was made, from the same bytes and with the same options as `wanted`."""
        made = (self.sha256, self.options, self.error)
        return made == (wanted.sha256, wanted.options, None)


class Manifest:
    """The manifest of a folder. In memory it keeps only where each picture's line begins.

    Raises:
        OutputError: if it cannot be read, or vcm did not write it.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._starts: dict[str, int] = {}
        self._end = 0
        try:
            if self.path.exists():
                self._read()
        except OSError as error:
            raise self._refused(error.strerror) from error

    def __iter__(self) -> Iterator[str]:
        """The files that have a line, in the order of their lines."""
        return iter(self._starts)

    def line(self, file: str) -> Line | None:
        """The line about a file, or None."""
        start = self._starts.get(file)
        if start is None:
            return None
        with self.path.open("rb") as lines:
            lines.seek(start)
            return _parsed(lines.readline())

    def append(self, lines: Iterable[Line]) -> None:
        """Add lines for files that are complete.

        Raises:
            OutputError: if they cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                for line in lines:
                    text = json.dumps(asdict(line)).encode() + b"\n"
                    file.write(text)
                    self._note(line, text)
        except OSError as error:
            raise self._refused(error.strerror) from error

    def _read(self) -> None:
        """Note where each line begins. An unfinished last line, from a run that was killed, is
        removed."""
        with self.path.open("rb") as file:
            for number, text in enumerate(file, 1):
                line = _parsed(text)
                if line is not None:
                    self._note(line, text)
                elif text.endswith(b"\n") or not self._may_end(text):
                    raise self._refused(f"line {number} is not one that vcm wrote")
                else:
                    os.truncate(self.path, self._end)

    def _may_end(self, half: bytes) -> bool:
        """Whether an unfinished last line may be one of ours."""
        return self._end > 0 or _BEGIN.startswith(half[: len(_BEGIN)])

    def _note(self, line: Line, text: bytes) -> None:
        self._starts.pop(line.file, None)  # so that the order stays that of the lines
        self._starts[line.file] = self._end
        self._end += len(text)

    def _refused(self, reason: str | None) -> OutputError:
        return OutputError(f"cannot use {str(self.path)!r}: {reason}; move it away")


def _parsed(text: bytes) -> Line | None:
    """A line, or None if it is not one of ours."""
    try:
        found = json.loads(text if text.endswith(b"\n") else b"")
        line = Line(**{f.name: found[f.name] for f in fields(Line) if f.name in found})
        return line if isinstance(line.file, str) else None
    except (ValueError, TypeError):
        return None
