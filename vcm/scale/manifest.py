"""What became of every picture: one line of JSON for each, written when its file is whole."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from vcm.errors import OutputError

NAME: Final = "manifest.jsonl"


@dataclass(frozen=True)
class Line:
    """One line. Of several about a file, the last one counts.

    Attributes:
        source: where the picture came from.
        sha256: of the bytes of the source, in hex; "" if they could not be read.
        options: names everything else that the file depends on.
        file: below the manifest's folder; in a shard: SHARD/MEMBER.
        file_sha256: of the bytes of the file; None if there is none.
        bytes: of the file.
        bpp: bits of the .vcm file for each pixel of the picture.
        roi: where the ROI came from, and whether anything was found.
        error: why there is no file, or None.
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


class Manifest:
    """The manifest of a folder: what is in memory of a picture is where its line begins.

    Raises:
        OutputError: if it cannot be read.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._starts: dict[str, int] = {}
        self._end = 0
        try:
            if self.path.exists():
                self._end = self._read()
                if self.path.stat().st_size > self._end:  # a kill may leave half a line
                    os.truncate(self.path, self._end)
        except OSError as error:
            raise self._refused(error) from error

    def __iter__(self) -> Iterator[str]:
        """The files that have a line."""
        return iter(self._starts)

    def line(self, file: str) -> Line | None:
        """The line about a file, or None."""
        start = self._starts.get(file)
        if start is None:
            return None
        with self.path.open("rb") as lines:
            lines.seek(start)
            return _parsed(lines.readline())

    def made(self, file: str, sha256: str, options: str) -> Line | None:
        """The line about a file if it was made from these bytes by these options."""
        line = self.line(file)
        same = line is not None and (line.sha256, line.options) == (sha256, options)
        return line if same and line is not None and line.error is None else None

    def append(self, lines: Iterable[Line]) -> None:
        """Add lines: their files are whole.

        Raises:
            OutputError: if that cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                for line in lines:
                    text = json.dumps(asdict(line)).encode() + b"\n"
                    file.write(text)
                    self._starts[line.file] = self._end
                    self._end += len(text)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(f"cannot use {str(self.path)!r}: {error.strerror}; move it away")

    def _read(self) -> int:
        """Where the whole lines end."""
        end = 0
        with self.path.open("rb") as file:
            for text in file:
                line = _parsed(text)
                if line is not None:
                    self._starts[line.file] = end
                if text.endswith(b"\n"):
                    end += len(text)
        return end


def _parsed(text: bytes) -> Line | None:
    """A line, or None if it is none of ours."""
    try:
        found = json.loads(text if text.endswith(b"\n") else b"")
        line = Line(**{field.name: found[field.name] for field in fields(Line)})
        return line if isinstance(line.file, str) else None
    except (ValueError, KeyError, TypeError):
        return None
