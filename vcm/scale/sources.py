"""Sets of files that are read one by one; `tars` has tar shards, `hub` the Hugging Face hub.

A `Source` is small and picklable; its bytes are read when they are needed.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm import image
from vcm.errors import SpecError
from vcm.image import AS_USUAL, Reading


class Source(Protocol):
    """A file of a set, a picture or a .vcm file, that has not been read yet."""

    @property
    def name(self) -> str:
        """Unique in the set: a relative path such as "cat.png" or "shard-000/0001.jpg"."""

    @property
    def id(self) -> int:
        """Its COCO image id, 0 if there is none."""

    @property
    def where(self) -> str:
        """Where it is, for people to read."""

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


def read(source: Source, how: Reading = AS_USUAL) -> NDArray[np.uint8]:
    """The picture: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: if it cannot be read, or is not a picture.
    """
    return image.parse(source.load(), source.where, how)


def stem(source: Source) -> str:
    """The name without its suffix, which its result gets too."""
    path = PurePosixPath(*inner(PurePosixPath(source.name)))
    return str(path.with_suffix("")) if path.name else "unnamed"


def files(paths: Iterable[Path]) -> list[Source]:
    """The files of one folder.

    Raises:
        SpecError: if the results of two would have the same name.
    """
    return distinct([File(path.name, path) for path in paths])


def distinct(sources: Sequence[Source]) -> list[Source]:
    """The sources, checked to have different names even without suffixes.

    Raises:
        SpecError: if two have the same.
    """
    for one, other in pairwise(sorted(sources, key=stem)):
        if stem(one) == stem(other):
            both = f"{PurePosixPath(one.name).name} and {PurePosixPath(other.name).name}"
            raise SpecError(f"{both} would both become {stem(one)}: rename one of them")
    return list(sources)


def inner(path: PurePosixPath) -> list[str]:
    """The parts of a path without those that would lead out of the folder it is joined to."""
    return [part for part in path.parts if part not in ("/", "..")]


def hidden(name: str) -> bool:
    """Whether a file is hidden: macOS puts "._cat.png" beside "cat.png"."""
    return PurePosixPath(name).name.startswith(".")
