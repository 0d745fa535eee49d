"""Results in tar shards."""

import io
import logging
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from vcm.errors import SpecError
from vcm.files import make_folder
from vcm.scale.manifest import Line, Manifest
from vcm.scale.sinks import Place, digest, write

_log = logging.getLogger(__name__)
PER_SHARD: Final = 1000
_NUMBER: Final = re.compile(r"%0?\d*d")


@dataclass
class _Shard:
    """A shard that is being filled.

    Attributes:
        before: what it held so far, by name.
        data: names and bytes that it will hold, by the number of the picture.
        lines: about those that are new.
        through: how many of its pictures are there, or have failed.
    """

    before: dict[str, bytes]
    data: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    lines: dict[int, Line] = field(default_factory=dict)
    through: int = 0


class Shards:
    """Tar shards of so many pictures each, in the order of their set, with a manifest beside.

    A shard is written at once when all of its pictures are through; what it holds does not depend
    on who was faster. Of a shard in which a picture is done again the others are taken over.

    Args:
        pattern: path with a place for the number, such as out-%05d.tar.
        overwrite: whether shards that the manifest does not name may be replaced.

    Raises:
        SpecError: if there is no such place.
    """

    def __init__(
        self, pattern: Path, suffix: str, per_shard: int = PER_SHARD, overwrite: bool = False
    ):
        if len(_NUMBER.findall(pattern.name)) != 1 or pattern.name.count("%") != 1:
            raise SpecError(f"shards: expected a name such as out-%05d.tar, got {pattern.name!r}")
        if per_shard < 1:
            raise SpecError(f"--per-shard: expected 1 or more, got {per_shard}")
        self._folder, self._name = make_folder(pattern.parent), pattern.name
        self._suffix, self._per_shard = suffix, per_shard
        self._manifest, self._overwrite = Manifest(pattern.parent), overwrite
        self._ours = {file.partition("/")[0] for file in self._manifest}
        self._open: dict[str, _Shard] = {}
        self._last = -1  # number of a picture

    def place(self, number: int, stem: str) -> Place:
        """The shard of this number. A key of WebDataset ends at the first dot: it has none."""
        path = PurePosixPath(stem)
        key = str(path.with_name(path.name.replace("%", "%25").replace(".", "%2E")))
        return Place(number, f"{self._name % (number // self._per_shard)}/{key}{self._suffix}")

    def kept(self, place: Place, sha256: str, options: str) -> bool:
        """Whether the manifest says so and the shard still holds it as it was."""
        line = self._manifest.made(place.file, sha256, options)
        shard, _, member = place.file.partition("/")
        data = self._filling(shard).before.get(member) if line is not None else None
        if line is None or data is None or digest(data) != line.file_sha256:
            return False
        self._through(place, data, None)
        return True

    def put(self, place: Place, line: Line, data: bytes | None) -> None:
        """Take it; write its shard if that is full now."""
        self._through(place, data, line)

    def close(self) -> None:
        """Write the last shard, and tell of those behind it that an earlier run left."""
        for shard in list(self._open):
            self._write(shard)
        following = self._folder / (self._name % (self._last // self._per_shard + 1))
        if following.exists():
            _log.warning("%s and what follows are of an earlier run; remove them", following)

    def _filling(self, shard: str) -> _Shard:
        if shard not in self._open:
            self._open[shard] = _Shard(_unpacked(self._folder / shard))
        return self._open[shard]

    def _through(self, place: Place, data: bytes | None, line: Line | None) -> None:
        shard, _, member = place.file.partition("/")
        filling = self._filling(shard)
        filling.through += 1
        self._last = max(self._last, place.number)
        if data is not None:
            filling.data[place.number] = member, data
        if line is not None:
            filling.lines[place.number] = line
        if filling.through == self._per_shard:
            self._write(shard)

    def _write(self, shard: str) -> None:
        """The shard, if anything in it is new or gone, then the lines about it."""
        filling = self._open.pop(shard)
        if filling.lines or len(filling.data) < len(filling.before):
            members = [member for _, member in sorted(filling.data.items())]
            ours = self._overwrite or shard in self._ours
            write(self._folder / shard, packed(members), ours)
            self._manifest.append(line for _, line in sorted(filling.lines.items()))


def packed(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar file of these files, in this order; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _unpacked(shard: Path) -> dict[str, bytes]:
    """The files in a tar file by name; none if there is no such file."""
    try:
        with tarfile.open(shard, "r:") as tar:
            files = {entry.name: tar.extractfile(entry) for entry in tar}
            return {name: file.read() for name, file in files.items() if file is not None}
    except (OSError, tarfile.TarError):
        return {}
