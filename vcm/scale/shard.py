"""One tar shard that is being filled, on disk: only a few of its files are in memory."""

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
    """Files in the order of their numbers; those of an existing shard may be kept.

    Once there is a new file, each file is written to a draft as soon as all before it are done.

    Args:
        path: of the finished shard.
        first: number of its first file.
        before: the members of the existing shard, by name.
    """

    def __init__(self, path: Path, first: int, before: dict[str, Member]):
        self.path = path
        self.lines: dict[int, Line] = {}
        self.through = 0  # number of files that are done: in the shard, or failed
        self._next, self._before, self._kept = first, before, 0
        self._waiting: dict[int, tuple[str, bytes | Member] | None] = {}
        self._new = False
        self._draft = draft_of(path)
        self._tar: tarfile.TarFile | None = None

    @property
    def loses(self) -> bool:
        """Whether a member of the existing shard would be missing from it."""
        return self._kept < len(self._before)

    @property
    def is_changed(self) -> bool:
        """Whether it would differ from the existing shard."""
        return self._new or self.loses

    def keep(self, number: int, name: str, sha256: str | None) -> bool:
        """Keep a member of the existing shard; False if it is missing or has another digest."""
        member = self._before.get(name)
        if member is None or _sha256(member) != sha256:
            return False
        self._kept += 1
        self._take(number, (name, member))
        return True

    def add(self, number: int, name: str, data: bytes | None, line: Line) -> None:
        """Add a new file; `data` is None for one that failed."""
        self.lines[number] = line
        self._new |= data is not None
        self._take(number, None if data is None else (name, data))

    def settle(self, may_replace: bool) -> None:
        """Write the remaining files and replace the existing shard.

        Raises:
            OutputError: if it cannot be written, or the existing shard differs and may not be
                replaced.
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
        """Remove the draft."""
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
    """SHA-256 of its bytes, in hex; "" if they cannot be read."""
    try:
        return digest(member.load())
    except ImageError:
        return ""
