"""Whole files or no files: the one way in which this package writes to disk."""

import contextlib
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from vcm.errors import OutputError

_MARK = ".vcm-"  # of temporary files


def write_atomic(path: Path, data: bytes) -> None:
    """Puts `data` at `path` completely, or leaves everything as it was.

    The bytes go to a temporary file in the same folder, are flushed to disk, and only then take
    the name. A symbolic link keeps pointing at its target, which is replaced. An existing file
    keeps its permissions. A device such as /dev/null or /dev/stdout is written directly.

    Raises:
        OutputError: the folder is missing or read-only, `path` is a folder or a read-only file,
            or the disk is full. No temporary file is left behind.
    """
    try:
        _write(Path(path), data)
    except (OSError, ValueError, RuntimeError) as error:
        # ValueError: a NUL character in the path. RuntimeError: links that point in a circle.
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"cannot write {str(path)!r}: {reason}; choose another place or make room"
        ) from error


def add_json(path: Path, entries: dict[str, Any]) -> None:
    """Add entries to a JSON file, which other processes may have added to meanwhile.

    Raises:
        OutputError: as `write_atomic`.
    """
    known = json.loads(path.read_text()) if path.is_file() else {}
    write_atomic(path, (json.dumps(known | entries, indent=1) + "\n").encode())


def make_folder(path: Path) -> Path:
    """The folder, which is there afterwards.

    Raises:
        OutputError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if path.is_file() else error.strerror
        raise OutputError(
            f"cannot make the folder {str(path)!r}: {reason}; choose another place"
        ) from error
    return path


def leftovers(folder: Path) -> None:
    """Remove from a folder what writers that were killed have left there."""
    for path in folder.glob(f"{_MARK}*.tmp"):
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    if path.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: it is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()  # of a device such as /dev/stdout this may be no path at all
    if not target.parent.is_dir():
        raise OutputError(
            f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}; create it first"
        )
    mode = None
    if target.exists():
        if not os.access(target, os.W_OK):
            raise OutputError(
                f"cannot write {str(path)!r}: the file is read-only; choose another name"
            )
        mode = stat.S_IMODE(target.stat().st_mode)
    # A short name of its own: the target's name may already be as long as the disk allows.
    temporary = target.parent / f"{_MARK}{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:  # Ctrl-C too must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
