"""The grammar of ROI texts: "person, dog" is a union, "vehicle -bus" and "no bus" take away."""

import re
from typing import NamedTuple

from vcm.errors import SpecError
from vcm.task import MAX_PHRASES

_DASHES = re.compile("[‐‑‒–—−]")  # what phones and word processors make of a minus
_MINUS = re.compile(r"(^|\s)-\s*(?=[^\s-])")  # after a space it starts an exclusion
_LETTER = re.compile(r"\w")  # of any script
_TAKES_AWAY = r"(?:no|not|without|except|but not)\s"
_SEPARATOR = re.compile(
    rf"[,;\n、，؛،&/+|]|\s(?=-[^\s-])|(?<!\bbut)\s(?={_TAKES_AWAY})", re.IGNORECASE
)
_NOT = re.compile(rf"{_TAKES_AWAY}\s*", re.IGNORECASE)


class Words(NamedTuple):
    """A parsed text.

    Attributes:
        phrases: what counts, at least one.
        exclude: what does not, though a phrase covers it.
    """

    phrases: tuple[str, ...]
    exclude: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join((*self.phrases, *(f"-{word}" for word in self.exclude)))


def parse(text: str) -> Words:
    """The phrases of a text, in order, each once.

    Commas (of several scripts), semicolons, new lines, "&", "+", "/" and "|" separate phrases; a
    phrase with a minus, "no", "not", "without" or "except" before it is excluded.

    Raises:
        SpecError: if no phrase is left to look for, or there are too many.

    Example:
        >>> vcm.parse("person, dog -cat")
        Words(phrases=('person', 'dog'), exclude=('cat',))
    """
    plain = _MINUS.sub(r"\1-", _DASHES.sub("-", text))
    parts = [_not(" ".join(p.split())) for p in _SEPARATOR.split(plain)]
    exclude = [part.lstrip("-").strip() for part in parts if part.startswith("-")]
    phrases = [part for part in parts if not part.startswith("-") and _LETTER.search(part)]
    words = Words(tuple(dict.fromkeys(phrases)), tuple(dict.fromkeys(w for w in exclude if w)))
    if not words.phrases:
        only = "what is left out alone" if words.exclude else repr(text[:40])
        raise SpecError(f"text: expected words such as 'person, dog', got {only}")
    if (count := len(words.phrases) + len(words.exclude)) > MAX_PHRASES:
        raise SpecError(f"text: expected at most {MAX_PHRASES} phrases, got {count}")
    return words


def _not(part: str) -> str:
    """A phrase after "no" is excluded."""
    found = _NOT.match(part)
    return f"-{part[found.end() :]}" if found else part
