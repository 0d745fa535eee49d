"""Tar shards in WebDataset's format, read one after the other."""

import contextlib
import logging
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.image import summed
from vcm.scale.sources import File, Source, distinct, hidden, inner

_log = logging.getLogger(__name__)
SHARD: Final = ".tar"
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")
Wanted = Callable[[str], bool]  # whether a set takes the file of this name


class Member(NamedTuple):
    """A file in an uncompressed tar file: `size` bytes starting at `offset`."""

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


class ShardSource:
    """The files in tar shards, one shard after the other, without a list of all of them.

    A name consists of the shard's and the file's, so keys need to be unique only in their shard.

    Args:
        text: path of a tar file; {000..009} stands for numbers, * for anything.
        wanted: which files the set takes, by name; of several with the same key, the first.

    Attributes:
        damaged: why shards were not read to their end, by path; complete after the iteration.
        left_out: files that seem to belong to the set but are links or cannot be read; likewise.

    Raises:
        SpecError: if there is no such file or two shards have the same name; while iterating, if
            no file is wanted.
    """

    def __init__(self, text: str, wanted: Wanted = image.is_picture):
        self._wanted = wanted
        self.paths = [Path(path) for path in expanded(text)]
        self.damaged: dict[str, str] = {}
        self.left_out: list[str] = []
        distinct([File(path.name, path) for path in self.paths])

    def __iter__(self) -> Iterator[Source]:
        self.damaged, self.left_out = {}, []
        found = False
        for path in self.paths:
            entries, damage = _entries(path)
            if damage:
                self.damaged[str(path)] = damage
                _log.warning("%s: %s", path, damage)
            for member in self._members(path, entries):
                found = True
                yield member
        if not found:
            raise SpecError(
                next((f"{path}: {why}" for path, why in self.damaged.items()), "")
                or f"{self.paths[0]} holds no usable file: expected pictures to encode, or .vcm "
                f"files to decode, with one dot in the name (0001.jpg, 0001.vcm)"
            )

    def _members(self, shard: Path, entries: list[tarfile.TarInfo]) -> list[Source]:
        """The wanted files of a shard. Keys end at the first dot, as in WebDataset."""
        found: dict[PurePosixPath, Source] = {}
        keys: dict[PurePosixPath, str] = {}
        left = [entry.name for entry in entries if self._is_left_out(entry)]
        for entry in entries:
            if not entry.isreg() or not self._wanted(entry.name) or hidden(entry.name):
                continue
            path = PurePosixPath(entry.name)
            name = PurePosixPath(shard.stem, *inner(path))
            keys.setdefault(name.with_name(name.name.partition(".")[0]), entry.name)
            if path.name.count(".") == 1:  # "0001.mask.png" belongs to a sample, but is no picture
                member = Member(str(name), shard, entry.offset_data, entry.size)
                found.setdefault(name.with_suffix(""), member)
        left += [keys[key] for key in sorted(keys.keys() - found.keys())]  # names with more dots
        if left:
            _log.warning(
                "%s: left out (links, unsupported formats, names with two dots): %s",
                shard,
                summed(left),
            )
        self.left_out += [f"{shard}/{name}" for name in left]
        return list(found.values())

    def _is_left_out(self, entry: tarfile.TarInfo) -> bool:
        """Whether it seems to belong to the set but is a link or cannot be read."""
        if entry.isdir() or hidden(entry.name):
            return False
        pictures = self._wanted is image.is_picture
        return (self._wanted(entry.name) and not entry.isreg()) or (
            pictures and PurePosixPath(entry.name).suffix.lower() in image.UNREAD
        )


def expanded(text: str) -> list[str]:
    """The paths that a text with {000..009} or * stands for, in order.

    Raises:
        SpecError: if a pattern matches nothing, or a file is missing.
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
    """The paths that match a pattern, in which * is the only special character."""
    base, text = Path(pattern.anchor or "."), str(pattern.relative_to(pattern.anchor))
    plain = "".join(f"[{c}]" if c in "[?" else c for c in text)
    return sorted(str(path) for path in base.glob(plain))


def indexed(shard: Path) -> dict[str, Member]:
    """The files in a tar file by name; if it is damaged, those before the damage."""
    found = {}
    with contextlib.suppress(OSError, tarfile.TarError), tarfile.open(shard, "r:") as tar:
        for entry in tar:
            path = f"{shard.stem}/{entry.name}"
            found[entry.name] = Member(path, shard, entry.offset_data, entry.size)
    return found


def _entries(shard: Path) -> tuple[list[tarfile.TarInfo], str]:
    """The entries of a tar file up to any damage, and what is wrong with it; "" if nothing is."""
    found: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(shard, "r:") as tar:
            found += tar
            ends = tar.offset < shard.stat().st_size
    except (OSError, tarfile.TarError) as error:
        if not found:
            return [], f"not an uncompressed tar file ({error})"
        return found, f"cut off or damaged after {found[-1].name} ({error})"
    return (
        found,
        ""
        if ends or not found
        else f"cut off after {found[-1].name}: the end-of-archive marker is missing",
    )
