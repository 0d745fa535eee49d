"""The bytes of picture files, whatever reads what they show."""

import stat
from pathlib import Path
from typing import Final

from vcm.errors import ImageError

MAX_BYTES: Final = 2**30  # of a picture file that is taken into memory as it lies


def load(path: Path) -> bytes:
    """The bytes of a picture file, which may be a pipe.

    Raises:
        ImageError: no such file, it cannot be read, or it has more than `MAX_BYTES`.
    """
    if not path.is_file() and not _is_pipe(path):
        if path.is_dir():
            raise ImageError(f"{str(path)!r} is a folder; expected a picture file")
        raise ImageError(f"there is no file {str(path)!r}; check the name")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"cannot read {str(path)!r}: {error.strerror}; check its owner") from error
    if len(data) > MAX_BYTES:
        raise ImageError(f"{str(path)!r}: expected at most {MAX_BYTES} bytes, got more")
    return data


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False
