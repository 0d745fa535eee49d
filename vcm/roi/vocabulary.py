"""From words to classes: synonyms, plurals, groups and phrases, by words.toml and lexicon.toml."""

import difflib
import logging
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from vcm.errors import UnknownWord

_log = logging.getLogger(__name__)
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
IRREGULAR: Final = {"mice": "mouse", "geese": "goose", "teeth": "tooth", "feet": "foot"}
Cover = tuple[int, ...]  # indices of classes


class Phrases(NamedTuple):
    """The words of phrases that do not name things.

    Attributes:
        ignored: articles and such, which add nothing.
        modifiers: what the network cannot see, such as "old"; ignored with a warning.
        amounts: before "of": "pair of", "slice of".
        unions: both sides are meant: "man riding a horse".
        places: what follows only says where: "dog on the sofa".
    """

    ignored: frozenset[str]
    modifiers: frozenset[str]
    amounts: frozenset[str]
    unions: frozenset[str]
    places: frozenset[str]


class Meaning(NamedTuple):
    """What a phrase means.

    Attributes:
        cover: the classes that it stands for.
        remarks: which parts of it are ignored, as messages for people.
    """

    cover: Cover
    remarks: list[str]


class Vocabulary(NamedTuple):
    """The classes of the network and the words for them.

    Attributes:
        classes: the K names that the network was trained on, in its order.
        coco: the first of them: COCO's.
        meaning: the indices of the classes that each known word stands for.
        phrases: how phrases of several words are read.
    """

    classes: tuple[str, ...]
    coco: tuple[str, ...]
    meaning: dict[str, Cover]
    phrases: Phrases

    def cover(self, phrase: str) -> Cover:
        """The classes that a phrase stands for: "puppies" -> (16,), "cyclist" -> (0, 1).

        A phrase of several words means what its last noun means ("baby elephant"), if every other
        word is known too; nouns joined by "and", "with", "riding" are all meant, those after "on",
        "in", "near" are not. Ignored parts are logged as warnings.

        Raises:
            UnknownWord: if a word is not known; the message lists similar words.
        """
        cover, remarks = self.read(phrase)
        for remark in remarks:
            _log.warning("%s", remark)
        return cover

    def read(self, phrase: str) -> Meaning:
        """As `cover`, with the remarks returned instead of logged."""
        known = self._known(phrase)
        if known:
            return Meaning(known, [])
        parts: list[list[str]] = [[]]
        meant = [True]
        for word in _WORD.findall(phrase.lower().replace("’", "'")):
            word = word.removesuffix("'s")  # "the man's face"
            if word == "of" and parts[-1] and parts[-1][-1] in self.phrases.amounts:
                parts[-1].clear()
            elif word in self.phrases.unions or word in self.phrases.places:
                parts.append([])
                meant.append(meant[-1] and word in self.phrases.unions)
            elif word not in self.phrases.ignored and not word.isdigit():
                parts[-1].append(word)
        found: set[int] = set()
        remarks: list[str] = []
        for part, wanted in zip(parts, meant, strict=True):
            if part and (wanted or set(part) - self.phrases.modifiers):  # "in red" is no place
                cover, of_part = self._noun(part, phrase)
                found |= set(cover) if wanted else set()
                remarks += of_part
        if not found:
            raise self._unknown(phrase)
        return Meaning(tuple(sorted(found)), remarks)

    def knows(self, phrase: str) -> bool:
        """Whether a phrase stands for some classes."""
        try:
            return bool(self.read(phrase).cover)
        except UnknownWord:
            return False

    def _noun(self, words: list[str], phrase: str) -> Meaning:
        """What the longest known end of `words` means; the words before it must be known too."""
        for start in range(len(words)):
            known = self._known(" ".join(words[start:]))
            if known:
                before, noun = words[:start], " ".join(words[start:])
                rest = [w for w in before if not self._known(w)]
                strange = [w for w in rest if w not in self.phrases.modifiers]
                if strange:
                    raise self._unknown(strange[0])
                remarks = []
                if rest:
                    remarks.append(f"{phrase!r}: {', '.join(rest)} is ignored")
                if other := [w for w in before if w not in rest and self._known(w) != known]:
                    both = ", ".join([*other, noun])
                    remarks.append(f"{phrase!r}: only {noun} is meant; for both write '{both}'")
                return Meaning(known, remarks)
        raise self._unknown(
            " ".join(w for w in words if w not in self.phrases.modifiers) or " ".join(words)
        )

    def _known(self, phrase: str) -> Cover | None:
        return next((self.meaning[f] for f in forms(phrase) if f in self.meaning), None)

    def _unknown(self, word: str) -> UnknownWord:
        near = difflib.get_close_matches(word.lower()[:60], self.meaning, 3, 0.6)
        similar = f"; similar words: {', '.join(near)}" if near else ""
        return UnknownWord(f"unknown word {word[:40]!r}{similar}", hint="any words")


@cache
def vocabulary() -> Vocabulary:
    """The shipped vocabulary."""
    folder = Path(__file__).parent
    by_hand, built = (
        tomllib.loads((folder / name).read_text()) for name in ("words.toml", "lexicon.toml")
    )
    coco = tuple(by_hand["classes"])
    classes = (*coco, *by_hand["rooms"])
    index = {name: i for i, name in enumerate(classes)}
    unfound = set(by_hand["unfound"]["rooms"])
    meaning: dict[str, Cover] = {}
    for table in (built, by_hand):  # the table made by hand overrides the built one
        rooms = {k: v for k, v in table.get("rooms", {}).items() if k not in unfound}
        own = table["classes"] | rooms
        meaning |= {w: (index[name],) for name, words in own.items() for w in words}
        meaning |= {w: tuple(index[n] for n in names) for w, names in table["groups"].items()}
    meaning |= {name: (i,) for name, i in index.items() if name not in unfound}
    phrases = Phrases(**{name: frozenset(words) for name, words in by_hand["phrases"].items()})
    return Vocabulary(classes, coco, meaning, phrases)


def forms(phrase: str) -> list[str]:
    """Spellings to look up: the phrase in lower case, then with its last word in the singular if it
    may be plural, then both without hyphens ("traffic-lights")."""
    text = " ".join(phrase.lower().split()).strip(".!?\"' ")
    for article in ("the ", "a ", "an "):
        text = text.removeprefix(article)
    without = text.replace("-", " ")
    return _singular(text) + (_singular(without) if without != text else [])


def _singular(text: str) -> list[str]:
    """A phrase, and the same with each possible singular of its last word."""
    forms = [text]
    *start, last = text.split(" ")
    if last in IRREGULAR:
        forms.append(" ".join([*start, IRREGULAR[last]]))
    for ending, singular in (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")):
        if text.endswith(ending) and len(text) > len(ending) + 1:
            forms.append(text[: -len(ending)] + singular)
    if text.endswith("men") and len(text) > 5:
        forms.append(text[:-3] + "man")
    return forms
