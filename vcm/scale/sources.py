"""Sets of files that are read one by one: folders, tar shards, the Hugging Face hub.

What stands for a file is small and picklable; its bytes are read when they are needed.
"""

import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm import image
from vcm.errors import ImageError, MissingExtra, SpecError

HUB: Final = "hf:"  # before the name of a data set of the Hugging Face hub
SHARD: Final = ".tar"
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}")
Wanted = Callable[[str], bool]  # whether a set takes the file of this name


class Source(Protocol):
    """One file of a set, a picture or a .vcm file, that is not read yet."""

    @property
    def name(self) -> str:
        """Unique in the set: a relative path such as "cat.png" or "shard-000/0001.jpg"."""

    @property
    def id(self) -> int:
        """COCO's, 0 where there is none."""

    @property
    def where(self) -> str:
        """Where it lies, for people."""

    def load(self) -> bytes:
        """Its bytes.

        Raises:
            ImageError: if they cannot be read.
        """


class File(NamedTuple):
    """A file of a folder."""

    name: str
    path: Path
    id: int = 0

    @property
    def where(self) -> str:
        """Its path."""
        return str(self.path)

    def load(self) -> bytes:
        """Its bytes."""
        return image.load(self.path)


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
        return f"{self.shard}/{PurePosixPath(self.name).name}"

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


class Row(NamedTuple):
    """A row of a data set of the hub."""

    name: str
    data: str
    split: str
    number: int
    id: int = 0

    @property
    def where(self) -> str:
        """Data set, split and row."""
        return f"{HUB}{self.data}:{self.split}/{self.number}"

    def load(self) -> bytes:
        """The bytes of its picture, as they were put there."""
        rows, column = _rows(self.data, self.split)
        try:
            cell = rows[self.number][column]
            return cell["bytes"] or image.load(Path(cell["path"]))
        except (OSError, TypeError) as error:
            raise ImageError(f"{self.where}: no picture ({error})") from error


def read(source: Source) -> NDArray[np.uint8]:
    """The picture: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: if it cannot be read, or is none.
    """
    return image.parse(source.load(), source.where)


def stem(source: Source) -> str:
    """The name without its suffix: what its result is called."""
    path = PurePosixPath(*_inner(PurePosixPath(source.name)))
    return str(path.with_suffix("")) if path.name else "unnamed"


def files(paths: Iterable[Path]) -> list[Source]:
    """The files of one folder.

    Raises:
        SpecError: if the results of two would have the same name.
    """
    return distinct([File(path.name, path) for path in paths])


def distinct(sources: Sequence[Source]) -> list[Source]:
    """The sources, of which no two have the same name but for the suffix.

    Raises:
        SpecError: if two have.
    """
    for one, other in pairwise(sorted(sources, key=stem)):
        if stem(one) == stem(other):
            both = f"{PurePosixPath(one.name).name} and {PurePosixPath(other.name).name}"
            raise SpecError(f"{both} would both become {stem(one)}: rename one of them")
    return list(sources)


class Shards:
    """The files in tar shards, one shard after the other: no list of all is ever made.

    A file's name is that of its shard and its own: keys need to be unique in a shard only.

    Args:
        text: path of a tar file; {000..009} stands for numbers, * for anything.
        wanted: of several files with one key, the first that is wanted counts.

    Raises:
        SpecError: if there is no such file, two have one name, or none is wanted.
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


def _members(shard: Path, wanted: Wanted) -> list[Source]:
    """The wanted files of a shard. Keys end at the first dot, as WebDataset has it."""
    try:
        with tarfile.open(shard, "r:") as tar:
            entries = [m for m in tar if m.isreg() and wanted(m.name)]
    except (OSError, tarfile.TarError) as error:
        raise SpecError(f"{shard}: not an uncompressed tar file ({error})") from error
    found = []
    for entry in entries:
        path = PurePosixPath(entry.name)
        if path.name.count(".") == 1:  # "0001.mask.png" belongs to a sample, it is not the picture
            name = PurePosixPath(shard.stem, *_inner(path))
            found.append(Member(str(name), shard, entry.offset_data, entry.size))
    return distinct(found)


def _inner(path: PurePosixPath) -> list[str]:
    """The parts of a path, of which none leads out of a folder that the path is put in."""
    return [part for part in path.parts if part not in ("/", "..")]


class Rows:
    """The pictures of a data set of the hub, or of a local folder that `datasets` understands.

    Args:
        text: "hf:NAME" or "hf:NAME:SPLIT"; the split is "train" if none is named.

    Raises:
        SpecError: if there is no such data set, or it holds no pictures.
        MissingExtra: if `datasets` is not installed.
    """

    def __init__(self, text: str):
        self._data, _, split = text.removeprefix(HUB).partition(":")
        self._split = split or "train"
        self._count = len(_rows(self._data, self._split)[0])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Source]:
        for index in range(self._count):
            yield Row(f"{index:08d}", self._data, self._split, index)


@cache
def _rows(name: str, split: str) -> tuple[Any, str]:
    """A split, its pictures undecoded, and the column that they are in; once for each process."""
    try:
        from datasets import Image, load_dataset
    except ImportError as error:
        raise MissingExtra("datasets", "hub") from error
    try:
        data = load_dataset(name, split=split)
        column = next(k for k, v in data.features.items() if isinstance(v, Image))
    except StopIteration as error:
        raise SpecError(f"hf:{name}: none of its columns holds pictures") from error
    except Exception as error:  # of the network, of the hub, of any loading script
        reason = " ".join(str(error).split())[:200]
        raise SpecError(f"hf:{name}: the data set cannot be loaded: {reason}") from error
    return data.cast_column(column, Image(decode=False)), column
