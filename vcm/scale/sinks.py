"""Where results go: whole files only, and a line about each. Tar shards are in `shards`."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from vcm.errors import OutputError
from vcm.files import make_folder, write_atomic
from vcm.scale.manifest import NAME, Line, Manifest


class Place(NamedTuple):
    """Where the result of a picture goes.

    Attributes:
        number: of the picture in its set, from 0.
        file: below the output's folder; in a shard: SHARD/MEMBER.
    """

    number: int
    file: str


class Sink(Protocol):
    """What takes the results of a set."""

    def place(self, number: int, stem: str) -> Place:
        """Where the result of this picture goes."""

    def kept(self, place: Place, wanted: Line) -> bool:
        """Whether it is there already, made from these bytes by these options; it stays then.

        Args:
            wanted: how its line would begin.

        Raises:
            OutputError: if what is there was made from something else.
        """

    def put(self, place: Place, line: Line, data: bytes | None) -> None:
        """Take a result; or, with no data, the line that says why there is none.

        Raises:
            OutputError: if it cannot be written, or something else is there.
        """

    def spare(self) -> None:
        """Some of the set cannot be read: what there is of an earlier run is not lost for that."""

    def close(self, complete: bool = True) -> None:
        """Nothing more will come: all of the set is through, or what could be read of it."""

    def drop(self) -> None:
        """Leave nothing unfinished behind."""


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


class Folder:
    """A folder of files, with a manifest; names with a / make folders in it.

    Args:
        whole: instead of a manifest: whether a file that is there is a result that may stay.
        overwrite: whether files that the manifest does not name may be replaced.
    """

    def __init__(
        self,
        folder: Path,
        suffix: str,
        whole: Callable[[Path], bool] | None = None,
        overwrite: bool = False,
    ):
        self._folder, self._suffix, self._whole = make_folder(folder), suffix, whole
        self._overwrite = overwrite
        self._manifest = Manifest(folder) if whole is None else None

    def place(self, number: int, stem: str) -> Place:
        """STEM and the suffix."""
        return Place(number, f"{stem}{self._suffix}")

    def kept(self, place: Place, wanted: Line) -> bool:
        """Whether the manifest says so and the file is what it was then."""
        path = self._folder / place.file
        if self._manifest is None:
            return self._whole is not None and self._whole(path)
        line = self._manifest.line(place.file)
        made = line is not None and line.made_as(wanted) and path.is_file()
        if line is not None and made and digest(path.read_bytes()) == line.file_sha256:
            return True
        self._check_source(path, line, wanted)
        return False

    def put(self, place: Place, line: Line, data: bytes | None) -> None:
        """Write the file, then its line."""
        path = self._folder / place.file
        known = None if self._manifest is None else self._manifest.line(place.file)
        self._check_source(path, known, line)
        if data is not None:
            make_folder(path.parent)
            may_replace = self._overwrite or self._manifest is None or known is not None
            write(path, data, may_replace)
        if self._manifest is not None:
            self._manifest.append([line])

    def spare(self) -> None:
        """No file is ever lost."""

    def close(self, complete: bool = True) -> None:
        """Every file is written by now."""

    def drop(self) -> None:
        """No file is unfinished."""

    def _check_source(self, path: Path, known: Line | None, wanted: Line) -> None:
        if known is not None and known.source != wanted.source and not self._overwrite:
            check_free(path, known.source)


def check_free(path: Path, source: str | None) -> None:
    """Refuse to replace what was made from another source.

    Raises:
        OutputError: if it is there.
    """
    if path.exists():
        raise OutputError(
            f"{str(path)!r} was made from {source!r}; move it away or choose another place",
            hint="replace",
        )


def write(path: Path, data: bytes, may_replace: bool) -> None:
    """Write a result. Over anything but a result only if it is the same: a kill may come before
    the line about it.

    Raises:
        OutputError: if something else is there, perhaps what the results are made from.
    """
    if not may_replace and path.is_file() and path.read_bytes() != data:
        raise unnamed(path)
    write_atomic(path, data)


def unnamed(path: Path) -> OutputError:
    """The error that a file exists which the manifest does not list."""
    return OutputError(
        f"{str(path)!r} exists already and {NAME} does not list it; choose another place",
        hint="replace",
    )
