"""The grammar of ROI texts: "person, dog" is a union; "vehicle -bus" and "no bus" exclude.

"face: 1, person: 0.5" says how much each of them matters.
"""

import re
from typing import NamedTuple

from vcm.errors import SpecError
from vcm.task import MAX_PHRASES, TaskSpec, check_value, with_value

_DASHES = re.compile("[‐‑‒–—−]")  # what phones and word processors turn a minus into
_MINUS = re.compile(r"(^|\s)-\s*(?=[^\s-])")  # after a space it starts an exclusion
_LETTER = re.compile(r"\w")  # of any script
_TAKES_AWAY = r"(?:no|not|without|except|but not)\s"
_SEPARATOR = re.compile(
    rf"[,;\n、，؛،&/+|]|\s(?=-[^\s-])|(?<!\bbut)\s(?={_TAKES_AWAY})", re.IGNORECASE
)
_NOT = re.compile(rf"{_TAKES_AWAY}\s*", re.IGNORECASE)
_COLON = re.compile("\\s*[:：]\\s*")


class Words(NamedTuple):
    """A parsed text.

    Attributes:
        phrases: what counts, at least one.
        exclude: what does not count, even where a phrase covers it.
        values: mask value of each phrase, in (0, 1]; empty: all are 1.
    """

    phrases: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def valued(self) -> dict[str, float]:
        """The mask value of each phrase."""
        return dict(zip(self.phrases, self.values or (1.0,) * len(self.phrases), strict=True))

    def __str__(self) -> str:
        wanted = (with_value(phrase, value) for phrase, value in self.valued.items())
        return ", ".join((*wanted, *(f"-{word}" for word in self.exclude)))


def parse(text: str) -> Words:
    """The phrases of a text, in order, each once.

    Commas (of several scripts), semicolons, new lines, "&", "+", "/" and "|" separate phrases; a
    phrase after a minus, "no", "not", "but not", "without" or "except" is excluded. A number after
    a colon is the mask value of a phrase, 1 if there is none; for a phrase given twice the larger
    one counts.

    Raises:
        SpecError: if there is no phrase to look for, there are too many, or what follows a colon is
            not a mask value.

    Example:
        >>> vcm.parse("person, dog -cat")
        Words(phrases=('person', 'dog'), exclude=('cat',), values=())
        >>> vcm.parse("face, person: 0.5").values
        (1.0, 0.5)
    """
    plain = _MINUS.sub(r"\1-", _DASHES.sub("-", text))
    parts = [_not(" ".join(p.split())) for p in _SEPARATOR.split(plain)]
    exclude = [_unvalued(part.lstrip("-").strip()) for part in parts if part.startswith("-")]
    valued: dict[str, float] = {}
    for part in parts:
        if not part.startswith("-") and _LETTER.search(part):
            phrase, value = _value(part)
            valued[phrase] = max(value, valued.get(phrase, 0.0))
    values = tuple(valued.values()) if set(valued.values()) - {1.0} else ()
    words = Words(tuple(valued), tuple(dict.fromkeys(w for w in exclude if w)), values)
    if not words.phrases:
        only = "only excluded ones" if words.exclude else repr(text[:40])
        raise SpecError(f"text: expected words such as 'person, dog', got {only}")
    if (count := len(words.phrases) + len(words.exclude)) > MAX_PHRASES:
        raise SpecError(f"text: expected at most {MAX_PHRASES} phrases, got {count}")
    return words


def words_of(task: TaskSpec) -> Words:
    """The words of a task."""
    values = tuple(task.values.get(phrase, 1.0) for phrase in task.phrases) if task.values else ()
    return Words(task.phrases, task.exclude, values)


def task_of(words: Words, sigma: float = TaskSpec.sigma) -> TaskSpec:
    """A task that has only words, without a task model."""
    values = {phrase: value for phrase, value in words.valued.items() if value != 1}
    return TaskSpec("text", 1, "", words.phrases, words.exclude, values, sigma=sigma)


def _not(part: str) -> str:
    """A part that begins with "no" or the like gets a minus instead."""
    found = _NOT.match(part)
    return f"-{part[found.end() :]}" if found else part


def _value(part: str) -> tuple[str, float]:
    """A phrase and its mask value."""
    phrase, *numbers = _COLON.split(part)
    if not numbers:
        return phrase, 1.0
    try:
        (value,) = map(float, numbers)
    except ValueError as error:
        given = ": ".join(numbers)
        raise SpecError(
            f"text: expected a number after {phrase + ':'!r}, as in 'face: 1, person: 0.5', "
            f"got {given!r}"
        ) from error
    if not _LETTER.search(phrase):
        raise SpecError(f"text: expected a phrase before the colon of {part!r}")
    check_value(f"text: {phrase}", value)
    return phrase, value


def _unvalued(part: str) -> str:
    """An excluded phrase, which cannot have a value."""
    if _COLON.search(part):
        raise SpecError(f"text: an excluded phrase has no value; write -{_COLON.split(part)[0]}")
    return part
