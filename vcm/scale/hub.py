"""Data sets of the Hugging Face hub, or local ones in its format."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcm import image
from vcm.errors import ImageError, MissingExtra, SpecError
from vcm.scale.sources import Source

HUB: Final = "hf:"  # before the name of a data set


class HubPicture(NamedTuple):
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
        """The bytes of its picture file."""
        rows, column = _rows(self.data, self.split)
        try:
            cell = rows[self.number][column]
            return cell["bytes"] or image.load(Path(cell["path"]))
        except (OSError, TypeError) as error:
            raise ImageError(f"{self.where}: no picture ({error})") from error


class HubPictures:
    """The pictures of a data set of the hub, or of a local folder that `datasets` understands.

    Args:
        text: "hf:NAME" or "hf:NAME:SPLIT"; SPLIT is "train" if not given.

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
            yield HubPicture(f"{index:08d}", self._data, self._split, index)


@cache
def _rows(name: str, split: str) -> tuple[Any, str]:
    """A split with undecoded pictures, and the column they are in; loaded once in each process."""
    try:
        from datasets import Image, load_dataset
    except ImportError as error:
        raise MissingExtra("datasets", "hub") from error
    try:
        data = load_dataset(name, split=split)
        column = next(k for k, v in data.features.items() if isinstance(v, Image))
    except StopIteration as error:
        raise SpecError(f"hf:{name}: none of its columns holds pictures") from error
    except Exception as error:  # by the network, the hub, or any loading script
        reason = " ".join(str(error).split())[:200]
        raise SpecError(f"hf:{name}: the data set cannot be loaded: {reason}") from error
    return data.cast_column(column, Image(decode=False)), column
