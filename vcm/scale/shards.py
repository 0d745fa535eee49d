"""Results in tar shards."""

import logging
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from vcm.errors import SpecError
from vcm.files import make_folder
from vcm.scale.manifest import Line, Manifest
from vcm.scale.shard import Shard
from vcm.scale.sinks import Place, check_free
from vcm.scale.tars import indexed

_log = logging.getLogger(__name__)
PER_SHARD: Final = 1000
_NUMBER: Final = re.compile(r"%0?\d*d")


class ShardSink:
    """Tar shards of `per_shard` pictures each, in the order of their set, beside a manifest.

    A shard is finished when all of its pictures are done; its contents do not depend on which was
    done first. If a picture of an existing shard is made again, the others are kept.

    Args:
        pattern: path with a placeholder for the number, such as out-%05d.tar.
        overwrite: whether shards of another set may be replaced.
        set_: name of the set of pictures.

    Raises:
        SpecError: if there is no such placeholder, or `per_shard` is below 1.
    """

    def __init__(
        self,
        pattern: Path,
        suffix: str,
        per_shard: int = PER_SHARD,
        overwrite: bool = False,
        set_: str = "",
    ):
        if len(_NUMBER.findall(pattern.name)) != 1 or pattern.name.count("%") != 1:
            raise SpecError(f"shards: expected a name such as out-%05d.tar, got {pattern.name!r}")
        if per_shard < 1:
            raise SpecError(f"shards: expected 1 or more pictures in each, got {per_shard}")
        self._folder, self._name = make_folder(pattern.parent), pattern.name
        self._suffix, self._per_shard = suffix, per_shard
        self._manifest, self._overwrite, self._set = Manifest(pattern.parent), overwrite, set_
        self._latest = {file.partition("/")[0]: file for file in self._manifest}
        self._open: dict[str, Shard] = {}
        self._last = -1  # number of a picture
        self._spares = False

    @property
    def there(self) -> list[Path]:
        """The existing files whose names match the pattern."""
        before, after = map(re.escape, _NUMBER.split(self._name))
        name = re.compile(f"{before} *\\d+{after}")
        return [path for path in self._folder.iterdir() if name.fullmatch(path.name)]

    def place(self, number: int, stem: str) -> Place:
        """Shard and member of a number; dots are encoded, as WebDataset's keys end at the first."""
        path = PurePosixPath(stem)
        key = str(path.with_name(path.name.replace("%", "%25").replace(".", "%2E")))
        return Place(number, f"{self._name % (number // self._per_shard)}/{key}{self._suffix}")

    def kept(self, place: Place, wanted: Line) -> bool:
        """See `Sink.kept`: by the manifest, if the shard still holds the file unchanged."""
        shard, name = self._opened(place)
        line = self._manifest.line(place.file)
        made = line is not None and line.made_as(wanted)
        if line is None or not made or not shard.keep(place.number, name, line.file_sha256):
            self._check_set(shard)
            return False
        self._through(place, shard)
        return True

    def put(self, place: Place, line: Line, data: bytes | None) -> None:
        """See `Sink.put`; the shard is written when it is full."""
        shard, name = self._opened(place)
        shard.add(place.number, name, data, replace(line, set=self._set))
        self._through(place, shard)

    def spare(self) -> None:
        """See `Sink.spare`: shards that would lose files stay as they are."""
        self._spares = True

    def close(self, complete: bool = True) -> None:
        """Write the last shard, and warn of later ones that an earlier run left."""
        for shard in list(self._open.values()):
            if complete or not shard.loses:
                self._write(shard)
        following = self._folder / (self._name % (self._last // self._per_shard + 1))
        if complete and following.exists():
            _log.warning("%s and later shards are from an earlier run; remove them", following)

    def drop(self) -> None:
        """Remove unfinished shards."""
        for shard in self._open.values():
            shard.drop()

    def _opened(self, place: Place) -> tuple[Shard, str]:
        """The shard of a place, and the file's name in it."""
        shard, _, name = place.file.partition("/")
        if shard not in self._open:
            path = self._folder / shard
            first = place.number - place.number % self._per_shard
            # a file that the manifest does not name is not ours, and perhaps large
            before = indexed(path) if shard in self._latest else {}
            self._open[shard] = Shard(path, first, before)
        return self._open[shard], name

    def _through(self, place: Place, shard: Shard) -> None:
        self._last = max(self._last, place.number)
        if shard.through == self._per_shard and not (self._spares and shard.loses):
            self._write(shard)

    def _write(self, shard: Shard) -> None:
        """Write a shard, if anything in it is new or gone, then its lines of the manifest."""
        if shard.is_changed:
            self._check_set(shard)
            shard.settle(self._overwrite or shard.path.name in self._latest)
        self._manifest.append(line for _, line in sorted(shard.lines.items()))
        del self._open[shard.path.name]

    def _check_set(self, shard: Shard) -> None:
        """Refuse to lose files that were made from another set."""
        file = self._latest.get(shard.path.name)
        line = self._manifest.line(file) if file and shard.loses and not self._overwrite else None
        if line is not None and line.set != self._set:
            check_free(shard.path, line.set)
