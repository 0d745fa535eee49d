"""What a machine wants of a picture: phrases, task model, data, metric. One TOML file per task."""

import difflib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from vcm import toml
from vcm.errors import SpecError

Metric = Literal["AP", "AP50", "mask_AP", "mIoU"]

FOLDER: Final = Path(__file__).parent / "tasks"  # package data: also there in an install
MAX_DILATION: Final = 1_024
MAX_PHRASES: Final = 128  # task files name all the classes of their model


@dataclass(frozen=True)
class Expected:
    """The score of the task model on the uncompressed pictures, checked before any curve.

    Attributes:
        score: in the metric's percent, 0 to 100.
        tolerance: the largest difference that is still the same result, in the same unit.
        weights: of the model that it is for; None: the task's.
        only: "field=value", the part of the set that it is for; None: all of it.
    """

    score: float
    tolerance: float
    weights: str | None = None
    only: str | None = None

    def __post_init__(self) -> None:
        _require(0 <= self.score <= 100, "score", "0 to 100", self.score)
        _require(0 < self.tolerance <= 10, "tolerance", "over 0, at most 10", self.tolerance)


@dataclass(frozen=True)
class TaskSpec:
    """One machine task.

    Attributes:
        name: lower case words joined by hyphens.
        version: raised whenever a change of the file changes a result.
        description: one line for people.
        phrases: what the ROI shows; the union counts. Not empty.
        exclude: what is taken out of the ROI again.
        values: mask values of phrases that matter less than others, in (0, 1]; 1 where none is.
        tau: threshold on the similarity in (0, 1); None: the backend's own.
        sigma: mask value of the background in (0, 1]; its weight in the loss is sigma squared.
        dilation: pixels by which the ROI grows, 0 to 1024.
        detail: how closely the built-in network looks, 1 or 2; see `vcm.roi.embedded`.
        model: adapter of the task model; None: the task has words only.
        weights: file name of its checkpoint.
        data: the set that the score is for.
        classes: the categories that count; empty: all of the set.
        metric: what the score is.
        expected: the score on uncompressed pictures.
        also: the same of other models, or of parts of the set.

    Example:
        >>> task = vcm.TaskSpec("mine", 1, "find dogs", phrases=("dog",), exclude=("cat",))
        >>> task.text, task.sigma
        ('dog, -cat', 0.1)
    """

    name: str
    version: int
    description: str
    phrases: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict, hash=False)
    tau: float | None = None
    sigma: float = 0.1
    dilation: int = 0
    detail: int = 1
    model: str | None = None
    weights: str | None = None
    data: str | None = None
    classes: tuple[str, ...] = ()
    metric: Metric | None = None
    expected: Expected | None = None
    also: tuple[Expected, ...] = ()

    def __post_init__(self) -> None:
        parts = self.name.split("-")
        plain = all(part.isalnum() and part.islower() or part.isdecimal() for part in parts)
        _require(plain and self.name.isascii(), "name", "words like coco-person", self.name)
        _require(self.version >= 1, "version", "1 or more", self.version)
        _require(len(self.phrases) > 0, "phrases", "at least one", self.phrases)
        count = len(self.phrases) + len(self.exclude)
        _require(count <= MAX_PHRASES, "phrases", f"at most {MAX_PHRASES} with exclude", count)
        for key in ("phrases", "exclude", "classes"):
            _check_words(key, getattr(self, key))
        strange = sorted(set(self.values) - set(self.phrases))
        _require(not strange, "values", "those of phrases", strange)
        for phrase, value in self.values.items():
            check_value(f"values: {phrase}", value)
        both = sorted(set(self.phrases) & set(self.exclude))
        _require(not both, "exclude", "other words than phrases", both)
        _require(self.tau is None or 0 < self.tau < 1, "tau", "over 0, under 1", self.tau)
        _require(0 < self.sigma <= 1, "sigma", "over 0, at most 1", self.sigma)
        _require(
            0 <= self.dilation <= MAX_DILATION, "dilation", f"0 to {MAX_DILATION}", self.dilation
        )
        _require(self.detail in (1, 2), "detail", "1 or 2", self.detail)
        if self.expected is not None or self.also:
            for key in ("model", "data", "metric"):
                _require(bool(getattr(self, key)), key, "a value, as there is an [expected]", None)

    @property
    def text(self) -> str:
        """The words for people to read: "vehicle, person: 0.5, -airplane"."""
        wanted = (with_value(phrase, self.values.get(phrase, 1.0)) for phrase in self.phrases)
        return ", ".join((*wanted, *(f"-{word}" for word in self.exclude)))


def find_task(name_or_path: str | Path) -> TaskSpec:
    """The task of that name among the built-in ones, or the task in that TOML file.

    What ends in .toml or has a slash in it is a path; anything else is a name.

    Raises:
        SpecError: no such name (the nearest are listed) or file, or a file that is not a task.

    Example:
        >>> vcm.find_task("coco-vehicles").metric
        'AP'
    """
    text = str(name_or_path)
    path = Path(text)
    if path.suffix == ".toml" or path.name != text:
        return toml.load(path, TaskSpec)
    if text not in task_names():
        near = difflib.get_close_matches(text, task_names(), 3, 0.4) or task_names()
        raise SpecError(
            f"there is no task {text!r}; did you mean {', '.join(near)}? "
            f"A file of your own is given with its path: ./{text or 'task'}.toml"
        )
    return toml.load(FOLDER / f"{text}.toml", TaskSpec)


def task_names() -> list[str]:
    """The names of the built-in tasks, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def with_value(phrase: str, value: float) -> str:
    """A phrase as texts have it: "person: 0.5", or "person" alone where the value is 1."""
    return phrase if value == 1 else f"{phrase}: {value:g}"


def check_value(where: str, value: float) -> None:
    """Raises a SpecError if that is no mask value."""
    if not 0 < value <= 1:
        raise SpecError(f"{where}: expected a mask value over 0, at most 1, got {value:g}")


def _check_words(key: str, words: tuple[str, ...]) -> None:
    for word in words:
        # These characters have a meaning in the text that `TaskSpec.text` shows.
        plain = word == word.strip() and "," not in word and not word.startswith("-")
        _require(bool(word) and plain, key, "words without , or - before them", word)
        _require(key == "classes" or ":" not in word, key, "words; values are in [values]", word)
        # joiners (Persian, Indic scripts, emoji) are not printable, but words have them
        control = any(unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") for char in word)
        _require(not control, key, "words without control characters", word)
    twice = sorted({word for word in words if words.count(word) > 1})
    _require(not twice, key, "each word once", twice)


def _require(condition: bool, key: str, expected: str, found: object) -> None:
    if not condition:
        raise SpecError(f"{key}: expected {expected}, got {found!r}")
