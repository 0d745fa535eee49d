"""Pictures a second, here and under Ray, and what ten million take; writes results.json."""

import argparse
import itertools
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vcm import image
from vcm.commands.batch import Made, Result, Tally, Task
from vcm.commands.encode import Encoding, Options
from vcm.provenance import provenance
from vcm.scale.manifest import NAME, Line, Manifest
from vcm.scale.sinks import Folder, Shards
from vcm.scale.sources import File, Source
from vcm.scale.work import Job, mapped, pool_of

HERE = Path(__file__).parent
WAYS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))
MILLIONS = 10
LINES = 100_000  # of the manifest whose index is weighed


@dataclass(frozen=True)
class Nothing:
    """A job without work: what is left is the way there and back."""

    def load(self) -> Callable[[Task], Made]:
        return lambda task: Made(bytes(10_000), {"bpp": 0.0})


def photos(folder: Path, count: int) -> list[Source]:
    """So many photos of a folder, from the start again where it has fewer."""
    paths = itertools.islice(itertools.cycle(image.folder(folder)), count)
    return [File(f"{number:06d}.jpg", path) for number, path in enumerate(paths)]


def timed(job: Job[Task, Made], sources: list[Source], way: str, workers: int) -> dict[str, float]:
    """Pictures a second of the second half, and what the first process takes of a processor."""
    with tempfile.TemporaryDirectory() as folder:
        result = Result(".vcm", "", Path.is_file, False)
        sink = Shards(Path(folder) / "x-%05d.tar", ".vcm")
        tally = Tally(sink, Path(folder), result, False)
        pool = pool_of(workers, "local" if way == "ray" else None)
        clocks = [(time.perf_counter(), time.process_time())]  # start, and after each picture
        for task, made in mapped(job, tally.todo(sources), pool):
            tally.take(task, made)
            clocks.append((time.perf_counter(), time.process_time()))
        sink.close()
        assert tally.done == len(sources), tally.failed
        lines = (Path(folder) / NAME).stat().st_size
    half = len(sources) // 2  # all workers have started by then
    (middle, before), (end, after) = clocks[-1 - half], clocks[-1]
    return {
        "way": way, "workers": workers, "photos": len(sources),
        "pictures_a_second": half / (end - middle),
        "seconds_to_first": clocks[1][0] - clocks[0][0],
        "driver_seconds_a_picture": (after - before) / half, "bytes": tally.total / len(sources),
        "line_bytes": lines / len(sources),
    }  # fmt: skip


def kept(sources: list[Source]) -> dict[str, float]:
    """Seconds and bytes of memory that a picture takes that is done already."""
    with tempfile.TemporaryDirectory() as folder:
        result = Result(".vcm", "", Path.is_file, False)
        for _ in range(2):
            tally = Tally(Folder(Path(folder), ".vcm"), Path(folder), result, False)
            work, start = Nothing().load(), time.perf_counter()
            for task in tally.todo(sources):
                tally.take(task, work(task))
            seconds = (time.perf_counter() - start) / len(sources)
            tally.sink.close()
        assert tally.kept == len(sources)
        manifest = Manifest(Path(folder))
        manifest.append(Line("", "", "", f"shard-{n // 1000:05d}/{n}") for n in range(LINES))
        manifest.close()
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
    sources = photos(options.data, options.photos)
    encoding = Encoding(Options(text=options.text, weights=options.weights))
    coded = [timed(encoding, sources, *way) for way in WAYS]
    many = photos(options.data, 10 * options.photos)
    bare = [timed(Nothing(), many, *way) for way in WAYS]
    again = kept(many)
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
