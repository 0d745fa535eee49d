"""Tar shards as WebDataset has them, read one after the other."""

import contextlib
import logging
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.scale.sources import File, Source, distinct, hidden, inner

_log = logging.getLogger(__name__)
SHARD: Final = ".tar"
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")
Wanted = Callable[[str], bool]  # whether a set takes the file of this name


class Member(NamedTuple):
    """A file in an uncompressed tar file: `size` bytes from `offset` on."""

    name: str
    shard: Path
    offset: int
    size: int
    id: int = 0

    @property
    def where(self) -> str:
        """The path of the shard and its name there."""
        return str(PurePosixPath(self.shard, *PurePosixPath(self.name).parts[1:]))

    def load(self) -> bytes:
        """Its bytes."""
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset)
                data = file.read(min(self.size, image.MAX_BYTES + 1))
        except OSError as error:
            raise ImageError(f"{self.where}: {error.strerror}") from error
        if len(data) != self.size:
            raise ImageError(f"{self.where}: expected {self.size} bytes, got {len(data)}")
        return data


class Shards:
    """The files in tar shards, one shard after the other: no list of all is ever made.

    A file's name is that of its shard and its own: keys need to be unique in a shard only.

    Args:
        text: path of a tar file; {000..009} stands for numbers, * for anything.
        wanted: of several files with one key, the first that is wanted counts.

    Raises:
        SpecError: if there is no such file, two shards have one name, or nothing is wanted.
    """

    def __init__(self, text: str, wanted: Wanted = image.is_picture):
        self._wanted = wanted
        self.paths = [Path(path) for path in expanded(text)]
        distinct([File(path.name, path) for path in self.paths])

    def __iter__(self) -> Iterator[Source]:
        found = False
        for path in self.paths:
            for member in _members(path, self._wanted):
                found = True
                yield member
        if not found:
            raise SpecError(
                f"{self.paths[0]} holds no file that is wanted: expected names with one dot, such "
                f"as 0001.jpg or 0001.vcm, and pictures to encode, .vcm files to decode"
            )


def expanded(text: str) -> list[str]:
    """The paths that a text with {000..009} or * stands for, in order.

    Raises:
        SpecError: if a pattern fits nothing, or a file is missing.
    """
    found = _RANGE.search(text)
    if found:
        first, last = found.groups()
        numbers = range(int(first), int(last) + 1)
        names = [
            f"{n:0{len(first)}d}".join((text[: found.start()], text[found.end() :]))
            for n in numbers
        ]
        paths = [path for name in names for path in expanded(name)]
    else:
        paths = _globbed(Path(text)) if "*" in text else [text]
    missing = [path for path in paths if not Path(path).is_file()]
    if missing or not paths:
        raise SpecError(f"there is no shard {(missing or [text])[0]!r}; check the name")
    return paths


def _globbed(pattern: Path) -> list[str]:
    base = Path(pattern.anchor or ".")
    return sorted(str(path) for path in base.glob(str(pattern.relative_to(pattern.anchor))))


def indexed(shard: Path) -> dict[str, Member]:
    """The files in a tar file by name; of a damaged one those before the damage."""
    found = {}
    with contextlib.suppress(OSError, tarfile.TarError), tarfile.open(shard, "r:") as tar:
        for entry in tar:
            path = f"{shard.stem}/{entry.name}"
            found[entry.name] = Member(path, shard, entry.offset_data, entry.size)
    return found


def _members(shard: Path, wanted: Wanted) -> list[Source]:
    """The wanted files of a shard. Keys end at the first dot, as WebDataset has it."""
    try:
        with tarfile.open(shard, "r:") as tar:
            entries = [m for m in tar if m.isreg() and wanted(m.name) and not hidden(m.name)]
    except (OSError, tarfile.TarError) as error:
        raise SpecError(f"{shard}: not an uncompressed tar file ({error})") from error
    found: dict[PurePosixPath, Source] = {}
    keys = set()
    for entry in entries:
        path = PurePosixPath(entry.name)
        name = PurePosixPath(shard.stem, *inner(path))
        keys.add(name.with_name(name.name.partition(".")[0]))
        if path.name.count(".") == 1:  # "0001.mask.png" belongs to a sample, it is not the picture
            member = Member(str(name), shard, entry.offset_data, entry.size)
            found.setdefault(name.with_suffix(""), member)
    if lost := sorted(map(str, keys - found.keys())):
        _log.warning("%s: left out for dots in their names: %s", shard, ", ".join(lost[:5]))
    return list(found.values())
