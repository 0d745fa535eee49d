"""Where results go: complete files, each with a line in a manifest. `shards` has tar shards."""

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
        file: path relative to the output folder; in a shard: SHARD/MEMBER.
    """

    number: int
    file: str


class Sink(Protocol):
    """The output of a set of pictures."""

    def place(self, number: int, stem: str) -> Place:
        """Where the result of this picture goes."""

    def kept(self, place: Place, wanted: Line) -> bool:
        """Whether the result exists, made from these bytes with these options; it is kept then.

        Args:
            wanted: the line that a new result would have, without its results.

        Raises:
            OutputError: if the existing file was made from another source.
        """

    def put(self, place: Place, line: Line, data: bytes | None) -> None:
        """Take a result; without data, only the line that says why there is none.

        Raises:
            OutputError: if it cannot be written, or another file is in its place.
        """

    def spare(self) -> None:
        """Called if some of the set cannot be read: results of an earlier run must not get lost."""

    def close(self, complete: bool = True) -> None:
        """Called when no more results come; `complete`: all of the set could be read."""

    def drop(self) -> None:
        """Remove whatever is unfinished."""


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


class Folder:
    """A folder of files, with a manifest; names with a / become subfolders.

    Args:
        whole: used instead of a manifest: whether an existing file is a result to keep.
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
        """The file STEM plus suffix."""
        return Place(number, f"{stem}{self._suffix}")

    def kept(self, place: Place, wanted: Line) -> bool:
        """See `Sink.kept`: by the manifest, if the file is unchanged; or by `whole`."""
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
        """Nothing to do: no file is removed."""

    def close(self, complete: bool = True) -> None:
        """Nothing to do: every file has been written."""

    def drop(self) -> None:
        """Nothing to do: no file is unfinished."""

    def _check_source(self, path: Path, known: Line | None, wanted: Line) -> None:
        if known is not None and known.source != wanted.source and not self._overwrite:
            check_free(path, known.source)


def check_free(path: Path, source: str | None) -> None:
    """Refuse to replace a file that was made from another source.

    Raises:
        OutputError: if the file exists.
    """
    if path.exists():
        raise OutputError(
            f"{str(path)!r} was made from {source!r}; move it away or choose another place",
            hint="replace",
        )


def write(path: Path, data: bytes, may_replace: bool) -> None:
    """Write a result. A file that is not in the manifest is replaced only if it has the same bytes:
    a run may have been killed before it wrote the line.

    Raises:
        OutputError: if another file is there, perhaps one of the sources.
    """
    if not may_replace and path.is_file() and path.read_bytes() != data:
        raise unnamed(path)
    write_atomic(path, data)


def unnamed(path: Path) -> OutputError:
    """The error for an existing file that the manifest does not list."""
    return OutputError(
        f"{str(path)!r} exists already and {NAME} does not list it; choose another place",
        hint="replace",
    )
