"""One tar shard that is being filled, on disk: of its files only a few are in memory."""

import contextlib
import filecmp
import io
import tarfile
from pathlib import Path

from vcm.errors import ImageError
from vcm.files import draft_of, finish, writing
from vcm.scale.manifest import Line
from vcm.scale.sinks import digest, unnamed
from vcm.scale.tars import Member


class Shard:
    """Files in the order of their numbers; those that are there already may be taken over.

    As soon as one of them is new, each goes to a draft when those before it are through.

    Args:
        path: what it will be called.
        first: number of its first file.
        before: what is there already, by name.
    """

    def __init__(self, path: Path, first: int, before: dict[str, Member]):
        self.path = path
        self.lines: dict[int, Line] = {}
        self.through = 0  # how many files are in it, or have failed
        self._next, self._before, self._kept = first, before, 0
        self._waiting: dict[int, tuple[str, bytes | Member] | None] = {}
        self._new = False
        self._draft = draft_of(path)
        self._tar: tarfile.TarFile | None = None

    @property
    def loses(self) -> bool:
        """Whether anything that is there already would not be in it."""
        return self._kept < len(self._before)

    @property
    def is_changed(self) -> bool:
        """Whether it would not be what is there already."""
        return self._new or self.loses

    def keep(self, number: int, name: str, sha256: str | None) -> bool:
        """Take over what is there already; whether that is there, and is this."""
        member = self._before.get(name)
        if member is None or _sha256(member) != sha256:
            return False
        self._kept += 1
        self._take(number, (name, member))
        return True

    def add(self, number: int, name: str, data: bytes | None, line: Line) -> None:
        """Take what is new; no data: it has failed."""
        self.lines[number] = line
        self._new |= data is not None
        self._take(number, None if data is None else (name, data))

    def settle(self, may_replace: bool) -> None:
        """Write what is left and take the place of what is there.

        Raises:
            OutputError: if that cannot be written, or must not be replaced and is not the same.
        """
        self._write(sorted(self._waiting))
        with writing(self.path):
            self._opened().close()
            there = not may_replace and self.path.is_file()
            if there and not filecmp.cmp(self._draft, self.path, shallow=False):
                raise unnamed(self.path)
        finish(self._draft, self.path)
        self._tar = None

    def drop(self) -> None:
        """Leave no draft behind."""
        if self._tar is not None:
            with contextlib.suppress(OSError):  # of a full disk
                self._tar.close()
            self._draft.unlink(missing_ok=True)

    def _take(self, number: int, entry: tuple[str, bytes | Member] | None) -> None:
        self.through += 1
        self._waiting[number] = entry
        while self._new and self._next in self._waiting:
            self._write([self._next])
            self._next += 1

    def _write(self, numbers: list[int]) -> None:
        for entry in map(self._waiting.pop, numbers):
            if entry is not None:
                name, data = entry
                content = data.load() if isinstance(data, Member) else data
                member = tarfile.TarInfo(name)
                member.size = len(content)
                with writing(self.path):
                    self._opened().addfile(member, io.BytesIO(content))

    def _opened(self) -> tarfile.TarFile:
        if self._tar is None:
            self._tar = tarfile.TarFile(self._draft, "w")
        return self._tar


def _sha256(member: Member) -> str:
    """Of its bytes, in hex; empty if they cannot be read."""
    try:
        return digest(member.load())
    except ImageError:
        return ""
