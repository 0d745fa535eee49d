"""Words to classes: synonyms, plurals and groups, read from words.toml."""

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vcm.errors import UnknownWord


class Vocabulary(NamedTuple):
    """Attributes:
    classes: the K names that the network was trained on, in its order.
    meaning: the indices of the classes that each known word covers.
    """

    classes: tuple[str, ...]
    meaning: dict[str, tuple[int, ...]]

    def cover(self, phrase: str) -> tuple[int, ...]:
        """The classes that a phrase stands for: "puppies" -> (16,), "cyclist" -> (0, 1).

        Raises:
            UnknownWord: if it is not known, with the nearest words that are.
        """
        for form in forms(phrase):
            if form in self.meaning:
                return self.meaning[form]
        near = difflib.get_close_matches(phrase.lower(), self.meaning, 3, 0.6)
        hint = f", near it: {', '.join(near)}" if near else ""
        raise UnknownWord(
            f"unknown word {phrase[:40]!r}{hint}; for any words use --roi-backend clipseg"
        )


@cache
def vocabulary() -> Vocabulary:
    """The shipped vocabulary."""
    table = tomllib.loads((Path(__file__).parent / "words.toml").read_text())
    classes = tuple(table["classes"])
    index = {name: i for i, name in enumerate(classes)}
    meaning: dict[str, tuple[int, ...]] = {name: (i,) for name, i in index.items()}
    meaning |= {w: (index[name],) for name, words in table["classes"].items() for w in words}
    meaning |= {w: tuple(index[n] for n in names) for w, names in table["groups"].items()}
    return Vocabulary(classes, meaning)


def forms(phrase: str) -> list[str]:
    """The phrase in lower case, then with its last word in the singular, if it may be plural."""
    text = " ".join(phrase.lower().split()).strip(".!?\"' ")
    for article in ("the ", "a ", "an "):
        text = text.removeprefix(article)
    forms = [text]
    for ending, singular in (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")):
        if text.endswith(ending) and len(text) > len(ending) + 1:
            forms.append(text[: -len(ending)] + singular)
    return forms
