"""Code of the caller's own, where a name is expected: "mine.py:People" is a class in a file."""

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

from vcm.errors import SpecError, VcmError

MARK: Final = ".py:"


def is_plugin(name: str) -> bool:
    """Whether a name is one of a file."""
    return MARK in name


def file_of(name: str) -> Path:
    """The file of such a name."""
    return Path(name.rpartition(":")[0])


def load(name: str, has: Sequence[str] = (), /, **options: Any) -> Any:
    """What the file holds under the name, which is run for that; a class is called.

    Args:
        name: "FILE.py:NAME".
        has: attributes that are expected of it.
        options: of the class.

    Raises:
        SpecError: if there is no such file or name, its code fails, or an attribute is missing.
    """
    path, attribute = file_of(name), name.rpartition(":")[2]
    spec = spec_from_file_location(f"{MARK}{path.resolve()}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SpecError(f"{name}: there is no file {str(path)!r}; expected FILE.py:NAME")
    # Dataclasses look their module up; under this name no import finds another one.
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = getattr(module, attribute)
        found = found(**options) if isinstance(found, type) else found
    except VcmError:
        raise
    except Exception as error:  # whatever the caller's code does
        raise SpecError(f"{name}: {type(error).__name__}: {error}; correct the file") from error
    if missing := [attribute for attribute in has if not hasattr(found, attribute)]:
        raise SpecError(
            f"{name}: expected {', '.join(has)}; {', '.join(missing)} is missing; correct the file"
        )
    return found
