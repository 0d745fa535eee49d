"""Pictures a second, here and under Ray, and what ten million take; writes results.json."""

import argparse
import itertools
import json
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vcm import image
from vcm.commands.batch import Item, Made, Result, Tally
from vcm.commands.encode import Encoding, Options
from vcm.provenance import provenance
from vcm.scale.manifest import NAME, Line, Manifest
from vcm.scale.pools import pool_of
from vcm.scale.shards import ShardSink
from vcm.scale.sinks import Folder
from vcm.scale.sources import File, Source
from vcm.scale.work import Job, mapped

HERE = Path(__file__).parent
WAYS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))
LIMIT = 100  # times the photos asked for: then a worker is missing
MILLIONS = 10
LINES = 100_000  # of the manifest whose index is weighed


@dataclass(frozen=True)
class Nothing:
    """A job without work: what is left is the way there and back."""

    def load(self) -> Callable[[Item], Made]:
        return lambda item: Made(bytes(10_000), {"bpp": 0.0})


@dataclass(frozen=True)
class Signed:
    """A job whose reports say which process did it."""

    job: Job[Item, Made]

    def load(self) -> Callable[[Item], Made]:
        work = self.job.load()

        def signed(item: Item) -> Made:
            data, report = work(item)
            return Made(data, report | {"process": os.getpid()})

        return signed


def photos(folder: Path) -> Iterator[Source]:
    """The photos of a folder, over and over."""
    for number, path in enumerate(itertools.cycle(image.folder(folder))):
        yield File(f"{number:08d}.jpg", path)


def timed(
    job: Job[Item, Made], sources: Iterator[Source], count: int, way: str, workers: int
) -> dict[str, float]:
    """Pictures a second over so many, once every worker has done one."""
    clocks: list[tuple[float, float]] = []  # of the wall and of this process, after each picture
    seen: set[int] = set()

    def enough() -> Iterator[Source]:
        for number, source in enumerate(sources):
            if len(clocks) > count or number == LIMIT * count:
                return
            yield source

    with tempfile.TemporaryDirectory() as folder:
        sink = ShardSink(Path(folder) / "x-%05d.tar", ".vcm")
        tally = Tally(sink, Path(folder), Result(".vcm", "", Path.is_file, False), False)
        pool, start = pool_of(workers, "local" if way == "ray" else None), time.perf_counter()
        first = 0.0
        for item, made in mapped(Signed(job), tally.todo(enough()), pool):
            tally.take(item, made)
            first = first or time.perf_counter() - start
            seen.add(made.report["process"] if isinstance(made, Made) else 0)
            if len(seen) >= workers:
                clocks.append((time.perf_counter(), time.process_time()))
        sink.close()
        lines = (Path(folder) / NAME).stat().st_size
    assert len(clocks) > count and not tally.failures, (way, workers, seen, tally.failed)
    (begin, before), (end, after) = clocks[0], clocks[count]
    return {
        "way": way, "workers": workers, "photos": count,
        "pictures_a_second": count / (end - begin), "seconds_to_first": first,
        "driver_seconds_a_picture": (after - before) / count,
        "bytes": tally.total / tally.done, "line_bytes": lines / tally.done,
    }  # fmt: skip


def kept(sources: list[Source]) -> dict[str, float]:
    """Seconds and bytes of memory that a picture takes that is done already."""
    with tempfile.TemporaryDirectory() as folder:
        result = Result(".vcm", "", Path.is_file, False)
        for _ in range(2):
            tally = Tally(Folder(Path(folder), ".vcm"), Path(folder), result, False)
            work, start = Nothing().load(), time.perf_counter()
            for item in tally.todo(sources):
                tally.take(item, work(item))
            seconds = (time.perf_counter() - start) / len(sources)
            tally.sink.close()
        assert tally.kept == len(sources)
        manifest = Manifest(Path(folder))
        manifest.append(Line("", "", "", f"shard-{n // 1000:05d}/{n}") for n in range(LINES))
        tracemalloc.start()
        manifest = Manifest(Path(folder))
        memory = tracemalloc.get_traced_memory()[0] / LINES
        tracemalloc.stop()
    return {"seconds_a_picture": seconds, "memory_a_picture": memory}


def on_paper(coded: list[dict], bare: list[dict], again: dict, source_bytes: float) -> dict:
    """What so many million pictures take, by what was measured."""
    count, one = MILLIONS * 1e6, coded[0]
    seconds = 1 / one["pictures_a_second"]
    driver = {row["way"]: row["pictures_a_second"] for row in bare if row["workers"] == 2}
    return {
        "million": MILLIONS,
        "core_hours": count * seconds / 3600,
        "source_terabytes": count * source_bytes / 1e12,
        "coded_terabytes": count * one["bytes"] / 1e12,
        "manifest_gigabytes": count * one["line_bytes"] / 1e9,
        "index_gigabytes": count * again["memory_a_picture"] / 1e9,
        "resume_hours": count * again["seconds_a_picture"] / 3600,
        "cores_one_driver_feeds": {way: rate * seconds for way, rate in driver.items()},
        "megabytes_a_second_then": {
            way: rate * source_bytes / 1e6 for way, rate in driver.items()
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco213/images"))
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--text", default="person")
    parser.add_argument("--weights", default="base")
    options = parser.parse_args()
    count, data = options.photos, options.data
    encoding = Encoding(Options(text=options.text, weights=options.weights))
    coded = [timed(encoding, photos(data), count, *way) for way in WAYS]
    bare = [timed(Nothing(), photos(data), 10 * count, *way) for way in WAYS]
    sources = list(itertools.islice(photos(data), 10 * count))
    again = kept(sources)
    source_bytes = sum(len(s.load()) for s in sources) / len(sources)
    report = {
        "coded": coded, "without_work": bare, "kept": again, "source_bytes": source_bytes,
        "paper": on_paper(coded, bare, again, source_bytes), "provenance": provenance(),
    }  # fmt: skip
    (HERE / "results.json").write_text(json.dumps(report, indent=1) + "\n")
    for row in coded + bare:
        print(f"{row['way']:<6}{row['workers']}  {row['pictures_a_second']:8.2f} pictures a second")
    print(json.dumps(report["paper"], indent=1))


if __name__ == "__main__":
    main()
