"""Many pictures: the same work on each, with progress; resumes, and one bad file stops nothing."""

from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcm.commands.hints import helped
from vcm.commands.places import all_apart
from vcm.commands.progress import shown
from vcm.errors import OutputError, SpecError, UnknownWord, VcmError
from vcm.files import held, make_folder
from vcm.image import summed
from vcm.roi.mask import NOTHING
from vcm.scale import manifest, tars
from vcm.scale.hub import HUB
from vcm.scale.manifest import Line
from vcm.scale.shards import PER_SHARD, ShardSink
from vcm.scale.sinks import Folder, Place, Sink, digest
from vcm.scale.sources import Source, stem
from vcm.scale.tars import SHARD
from vcm.scale.work import Here, Job, Pool, mapped

Report = dict[str, Any]
WAY: Final = ("workers", "ray", "ordered", "per_shard")  # options: the fields of `Way`
SHOWN: Final = 20  # failures in a report; the manifest has them all


class Item(NamedTuple):
    """One file, read.

    Attributes:
        where: it lies, for messages and the manifest.
        sha256: of its bytes.
    """

    place: Place
    where: str
    sha256: str
    data: bytes


class Made(NamedTuple):
    """What the work made of a file: another one, and what is to be said of it."""

    data: bytes
    report: Report


@dataclass(frozen=True)
class Way:
    """How many pictures are gone through; options of the command line."""

    workers: int | None = None
    ray: str | None = None
    ordered: bool = False
    per_shard: int = PER_SHARD

    def check_one(self) -> None:
        """Refuse what one picture has no use for.

        Raises:
            SpecError: if there is something.
        """
        if self != Way():
            raise SpecError(
                "--workers, --ray, --ordered and --per-shard are for a folder, a COCO .json file, "
                "tar shards or hf:NAME; leave them out for one file"
            )


class Result(NamedTuple):
    """What becomes of each file.

    Attributes:
        suffix: of its name.
        options: names all that it depends on but its source.
        whole: whether what is there is one; asked where there is no manifest.
        overwrite: whether what is there is made again.
    """

    suffix: str
    options: str
    whole: Callable[[Path], bool]
    overwrite: bool


@dataclass
class Tally:
    """What became of the files.

    Attributes:
        listed: whether the report of each file is kept.
        stopped: why the set could not be read to its end.
    """

    sink: Sink
    folder: Path
    result: Result
    listed: bool
    files: list[Report] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    odd: int = 0
    done: int = 0
    kept: int = 0
    failures: int = 0
    empty: int = 0
    total: int = 0
    stopped: SpecError | None = None

    def todo(self, sources: Iterable[Source]) -> Iterator[Item]:
        """The files that are not done yet, read; how far that is, is shown.

        Where the set cannot be read any further it ends: what is under way is done nevertheless.
        """
        count = len(sources) if isinstance(sources, Sized) else None
        label = "files" if count is None else f"{count} files"
        try:
            for number, source in enumerate(shown(sources, count, label)):
                if _damaged(sources):
                    self.sink.spare()
                item = self._read(self.sink.place(number, stem(source)), source)
                if item is not None:
                    yield item
        except SpecError as error:
            self.stopped = error

    def _read(self, place: Place, source: Source) -> Item | None:
        """The file; None if it cannot be read, or is done."""
        try:
            data = source.load()
        except VcmError as error:
            self.take(Item(place, source.where, "", b""), error)
            return None
        item = Item(place, source.where, digest(data), data)
        if not self.result.overwrite and self.sink.kept(place, self._line(item)):
            self.kept += 1
            return None
        return item

    def _line(self, item: Item) -> Line:
        return Line(absolute(item.where), item.sha256, self.result.options, item.place.file)

    def take(self, item: Item, result: Made | VcmError) -> None:
        """One more is through.

        A file that fails is noted with its reason and the others go on. A full or read-only disk
        and a word that is not known stop everything: every further file would fail alike.
        """
        line = self._line(item)
        if isinstance(result, OutputError | UnknownWord):
            raise result
        if isinstance(result, VcmError):
            self.failures += 1
            if self.listed or len(self.failed) < SHOWN:
                self.failed[item.where] = helped(result)
            self.sink.put(item.place, replace(line, error=helped(result)), None)
            return
        data, report = result
        if said := report.get("said"):
            self.odd += 1
            if self.listed or len(self.said) < SHOWN:
                self.said[item.where] = "; ".join(said)
        line = replace(line, file_sha256=digest(data), bytes=len(data))
        line = replace(line, bpp=report.get("bpp"), roi=report.get("roi"))
        self.empty += NOTHING in report.get("roi", "")
        self.sink.put(item.place, line, data)
        self.done += 1
        self.total += len(data)
        if self.listed:
            self.files.append({"file": str(self.folder / item.place.file)} | report)

    @property
    def report(self) -> Report:
        """For people and for JSON."""
        if self.listed:
            told = {"files": self.files, "done_before": self.kept, "failed": self.failed}
            return told | {"nothing_found": self.empty, "odd": self.odd, "said": self.said}
        return {
            "manifest": str(self.folder / manifest.NAME),
            "done": self.done,
            "done_before": self.kept,
            "bytes": self.total,
            "failures": self.failures,
            "nothing_found": self.empty,
            "failed": self.failed,
            "odd": self.odd,
            "said": self.said,
        }


def run(
    job: Job[Item, Made],
    sources: Iterable[Source],
    places: tuple[Path, Path],
    result: Result,
    way: Way,
) -> Report:
    """Do the job on every file that is not done; what happened, as a report.

    A folder to a folder, without a word on how, is done in this process and keeps no manifest.

    Args:
        places: source and output as given; the output is a folder or a pattern of tar shards.

    Raises:
        SpecError: if the output or the way cannot be, or the set cannot be read to its end.
        OutputError: if a result would take the place of what is none of this set.
        WorkerError: if a worker process of this machine died.
    """
    source, output = places
    if _is_plain(source, output, way):
        plain = Folder(output, result.suffix, result.whole)
        return each(job, sources, Tally(plain, output, result, True), Here(), way.ordered)
    from vcm.scale.pools import pool_of  # here: a single picture needs no pool of workers

    pool = pool_of(way.workers, way.ray)
    folder = output.parent if output.suffix == SHARD else output
    with held(make_folder(folder)):
        sink = _opened(places, result, way.per_shard)
        if isinstance(sources, tars.ShardSource) and isinstance(sink, ShardSink):
            all_apart(sink.there, sources.paths)
        return each(job, sources, Tally(sink, folder, result, False), pool, way.ordered)


def _is_plain(source: Path, output: Path, way: Way) -> bool:
    asked = way.workers is not None or way.ray is not None or output.suffix == SHARD
    return source.is_dir() and not asked and not (output / manifest.NAME).exists()


def _opened(places: tuple[Path, Path], result: Result, per_shard: int) -> Sink:
    """What takes the results."""
    source, output = places
    if output.suffix == SHARD:
        set_ = absolute(str(source))
        return ShardSink(output, result.suffix, per_shard, result.overwrite, set_)
    return Folder(output, result.suffix, overwrite=result.overwrite)


def absolute(where: str) -> str:
    """The same place, seen from any folder."""
    return where if where.startswith(HUB) else str(Path(where).absolute())


def each(
    job: Job[Item, Made], sources: Iterable[Source], tally: Tally, pool: Pool, ordered: bool
) -> Report:
    try:
        for item, made in mapped(job, tally.todo(sources), pool, ordered):
            tally.take(item, made)
        damaged = _damaged(sources)
        tally.failed |= damaged
        tally.failures += len(damaged)
        tally.sink.close(tally.stopped is None and not damaged)
    finally:
        tally.sink.drop()
    if tally.stopped is not None:
        raise tally.stopped
    return tally.report


def _damaged(sources: Iterable[Source]) -> dict[str, str]:
    """Why shards could not be read to their end, by their paths."""
    return sources.damaged if isinstance(sources, tars.ShardSource) else {}


def lines(report: Report) -> list[str]:
    """The summary for people."""
    failed = report["failed"]
    done = len(report["files"]) if "files" in report else report["done"]
    failures = report.get("failures", len(failed))
    text = [f"{done} done, {report['done_before']} existed already, {failures} failed"]
    if "files" in report and report["done_before"]:
        text.append(
            "existing files were recognised by their names alone, not by picture or options; "
            "--overwrite makes them again"
        )
    text += [f"  {name}: {reason}" for name, reason in failed.items()]
    if report["nothing_found"]:
        text.append(f"the words matched nothing in {report['nothing_found']} of the pictures done")
    if said := report["said"]:
        text.append(f"{report['odd']} read despite problems:")
        text += [f"  {name}: {line}" for name, line in said.items()]
    if left := report.get("left_out"):
        text.append(f"left out (broken link or unsupported format): {summed(left)}")
    return text + ([f"each is in {report['manifest']}"] if "manifest" in report else [])
