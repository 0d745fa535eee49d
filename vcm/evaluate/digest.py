"""What code was, as a few letters: files and masks are others when it is changed."""

import hashlib
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Final

KINDS: Final = ("*.py", "*.toml")  # code, and the tables that it reads


@cache
def digest_of(*parts: ModuleType) -> str:
    """Of modules, and of all code and tables in packages and below; as it was at the first call."""
    total = hashlib.sha256()
    for part in parts:
        for path in _files(Path(str(part.__file__))):
            total.update(path.read_bytes())
    return total.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    """A module's file, or those of its package."""
    if path.stem != "__init__":
        return [path]
    return sorted(chain.from_iterable(path.parent.rglob(kind) for kind in KINDS))
