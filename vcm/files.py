"""Whole files or no files: the one way in which this package writes to disk."""

import contextlib
import hashlib
import json
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from vcm.errors import OutputError

STDOUT: Final = Path("/dev/stdout")
_MARK = ".vcm-"  # of temporary files


def write_atomic(path: Path, data: bytes) -> None:
    """Puts `data` at `path` completely, or leaves everything as it was.

    The bytes go to a temporary file in the same folder, are flushed to disk, and only then take
    the name. A symbolic link keeps pointing at its target, which is replaced. An existing file
    keeps its permissions. A device such as /dev/null is written directly, and so is /dev/stdout,
    wherever it leads.

    Raises:
        OutputError: the folder is missing or read-only, `path` is a folder or a read-only file,
            or the disk is full. No temporary file is left behind.
    """
    with writing(path):
        _write(Path(path), data)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong with the disk meanwhile is an `OutputError` about `path`."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        # ValueError: a NUL character in the path. RuntimeError: links that point in a circle.
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"cannot write {str(path)!r}: {reason}; choose another place or make room"
        ) from error


def draft_of(path: Path) -> Path:
    """Where a file grows that is too large for memory, until `finish` gives it its name.

    It is the same place each time: what a writer that was killed left there is written over.
    """
    target = path.resolve()
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.parent / f"{_MARK}{name}.tmp"


def finish(draft: Path, path: Path) -> None:
    """Gives a draft the name `path`, as `write_atomic` would: completely, or not at all.

    Raises:
        OutputError: as `write_atomic`.
    """
    with writing(path):
        target, mode = _target(path)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        _take(draft, target, mode)


@contextlib.contextmanager
def drafted(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Takes the bytes of a file part after part; it is there, whole, when all is through.

    Raises:
        OutputError: as `write_atomic`.
    """
    draft = draft_of(path)
    with writing(path):
        _target(path)  # refuses now, not after the work
        file = draft.open("wb")

    def write(data: bytes) -> None:
        with writing(path):
            file.write(data)

    try:
        with file:
            yield write
            with writing(path):
                file.flush()
        finish(draft, path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def add_json(path: Path, entries: dict[str, Any]) -> None:
    """Add entries to a JSON file, to which other processes may add at the same time.

    Raises:
        OutputError: as `write_atomic`.
    """
    with held(path.parent, wait=True):
        known = json.loads(path.read_text()) if path.is_file() else {}
        write_atomic(path, (json.dumps(known | entries, indent=1) + "\n").encode())


@contextlib.contextmanager
def held(folder: Path, wait: bool = False) -> Iterator[None]:
    """A folder that nobody else holds meanwhile; it is free again when the process ends.

    Windows and some network disks have no such locks: there nothing is held.

    Args:
        wait: until it is free.

    Raises:
        OutputError: if another process holds it and `wait` is not set.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        try:
            flock(handle, LOCK_EX | (0 if wait else LOCK_NB))
        except BlockingIOError as error:
            raise OutputError(
                f"another command writes to {str(folder)!r}; wait for it, or give another place"
            ) from error
        except OSError:  # a disk without locks
            pass
        yield
    finally:
        os.close(handle)


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
    if path == STDOUT:  # led to a file by the shell, it is one: not ours to replace
        sys.stdout.flush()
        with os.fdopen(1, "wb", closefd=False) as file:
            file.write(data)
        return
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    target, mode = _target(path)
    # A short name of its own: the target's name may already be as long as the disk allows.
    temporary = target.parent / f"{_MARK}{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _take(temporary, target, mode)
    except BaseException:  # Ctrl-C too must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _target(path: Path) -> tuple[Path, int | None]:
    """The file that is meant, with the permissions that it has; None if there is no such file."""
    if path.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: it is a folder; give the name of a file")
    target = path.resolve()
    if not target.parent.is_dir():
        raise OutputError(
            f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}; create it first"
        )
    if not target.exists():
        return target, None
    if not os.access(target, os.W_OK):
        raise OutputError(f"cannot write {str(path)!r}: the file is read-only; choose another name")
    return target, stat.S_IMODE(target.stat().st_mode)


def _take(temporary: Path, target: Path, mode: int | None) -> None:
    """The name of the target goes to the temporary file."""
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(target)
