"""Shards of results: little of them in memory, and what is under way is kept when a set ends."""

import hashlib
import resource
import tarfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jobs import Copying, Never

from vcm.commands import batch
from vcm.commands.batch import Result, Way
from vcm.errors import OutputError
from vcm.scale import pools
from vcm.scale.manifest import Line
from vcm.scale.shards import ShardSink
from vcm.scale.tars import ShardSource

MIB = 2**20
ZEROS = hashlib.sha256(bytes(MIB)).hexdigest()


class Threads:
    """Results come while tasks are still taken."""

    room = 9

    def __enter__(self):
        self._threads = ThreadPoolExecutor(1)
        return self._threads.submit

    def __exit__(self, *error):
        self._threads.shutdown()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every command runs in a folder of its own and in this process."""
    monkeypatch.setattr(pools, "pool_of", lambda workers, ray: Threads())
    monkeypatch.chdir(tmp_path)


def packed(path, *names):
    """A shard of pictures that are like no others."""
    with tarfile.open(path, "w") as tar:
        for name in names:
            Path("picture").write_bytes(f"{path}/{name}".encode())
            tar.add("picture", name)


def run(output, options="q"):
    """Copies the shards in-0.tar and in-1.tar."""
    result = Result(".x", options, Path.is_file, False)
    places, way = (Path("in-{0..1}.tar"), Path(output)), Way(ordered=True, per_shard=3)
    return batch.run(Copying(options), ShardSource(str(places[0])), places, result, way)


def names(shard):
    with tarfile.open(shard) as tar:
        return tar.getnames()


def peak(work):
    """The most memory that it takes, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def filled(count):
    """Fills a shard with so many members of a MiB; of those that are there it keeps all it can."""
    sink = ShardSink(Path("s%d.tar"), ".x", count)
    for number in range(count):
        place = sink.place(number, str(number))
        line = Line("", "", "", place.file, file_sha256=ZEROS)
        if not sink.kept(place, line):
            sink.put(place, line, bytes(MIB))
    sink.close()


def test_of_a_shard_that_is_filled_little_is_in_memory():
    assert peak(lambda: filled(40)) < 10 * MIB
    before = Path("s0.tar").stat()
    assert peak(lambda: filled(40)) < 10 * MIB  # all of it stays
    after = Path("s0.tar").stat()  # but for the time at which it was read
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert peak(lambda: filled(41)) < 10 * MIB  # 40 are taken over
    assert names("s0.tar") == [f"{number}.x" for number in range(41)]


def test_what_comes_early_waits_for_what_comes_before_it():
    sink = ShardSink(Path("s%d.tar"), ".x", 9)
    for number in (2, 0, 3, 1):
        place = sink.place(number, str(number))
        data = None if number == 1 else b"%d" % number
        sink.put(place, Line("", "", "", place.file), data)
    sink.close()
    assert names("s0.tar") == ["0.x", "2.x", "3.x"]


def test_the_shard_of_others_is_not_read():
    with tarfile.open("s0.tar", "w") as tar:
        Path("large").write_bytes(bytes(40 * MIB))
        tar.add("large", "0.x")
    sink = ShardSink(Path("s%d.tar"), ".x", 1)
    place = sink.place(0, "0")
    line = Line("", "", "", place.file)

    def refused():
        with pytest.raises(OutputError, match="does not list it"):
            assert not sink.kept(place, line)
            sink.put(place, line, b"new")

    assert peak(refused) < 10 * MIB


def test_a_full_disk_is_said_and_leaves_no_draft():
    packed("in-0.tar", "a.png")
    packed("in-1.tar", "b.png")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write 'out/s0\.tar': File too large"):
            run("out/s%d.tar", "q" * 2 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(Path("out").iterdir()) == []


def test_what_failed_again_is_no_reason_to_write_the_others_again():
    packed("in-0.tar", "a.png", "b.png")
    packed("in-1.tar", "bad.png")
    run("out/s%d.tar")
    before = Path("out/s0.tar").stat()
    report = run("out/s%d.tar")
    assert (report["done_before"], report["failures"]) == (2, 1)
    assert Path("out/s0.tar").stat() == before


@pytest.mark.parametrize("output", ["out", "out/s%d.tar"])
def test_what_is_whole_of_a_set_with_a_damaged_shard_is_done(output):
    packed("in-0.tar", "a.png", "b.png")
    Path("in-1.tar").write_bytes(b"none" * 1000)
    report = run(output)
    assert report["done"] == 2 and report["failures"] == 1
    assert report["failed"] == {"in-1.tar": "not an uncompressed tar file (invalid header)"}
    packed("in-1.tar", "c.png", "d.png")
    report = run(output)
    assert (report["done"], report["done_before"]) == (2, 2)


@pytest.mark.parametrize("output", ["out", "out/s%d.tar"])
@pytest.mark.parametrize("more", [0, 700])
def test_a_shard_that_is_cut_off_costs_nothing_but_what_it_lacks(output, more, caplog):
    for number in range(3):
        packed(f"in-{number}.tar", "a.png", "b.png", "c.png")
    with tarfile.open("in-1.tar") as tar:
        third = tar.getmembers()[2].offset
    Path("in-1.tar").write_bytes(Path("in-1.tar").read_bytes()[: third + more])
    result = Result(".x", "q", Path.is_file, False)
    places = Path("in-{0..2}.tar"), Path(output)
    sources = ShardSource(str(places[0]))
    report = batch.run(Copying("q"), sources, places, result, Way(ordered=True, per_shard=3))
    assert report["done"] == 8 and report["failures"] == 1
    assert "cut off" in report["failed"]["in-1.tar"] and "in-1.tar: cut off" in caplog.text
    lines = batch.lines(report | {"left_out": sources.left_out})
    assert any(line.startswith("  in-1.tar: cut off") for line in lines)


def test_links_in_a_shard_are_named_and_not_left_out_without_a_word(caplog):
    packed("in-0.tar", "a.png")
    with tarfile.open("in-1.tar", "w") as tar:
        tar.add("picture", "b.png")
        for name, kind in (("c.png", tarfile.LNKTYPE), ("d.png", tarfile.SYMTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "b.png"
            tar.addfile(link)
        tar.add("picture", "e.heic")
        tar.add("picture", "f.txt")
    sources = ShardSource("in-{0..1}.tar")
    assert [source.name for source in sources] == ["in-0/a.png", "in-1/b.png"]
    assert sources.left_out == ["in-1.tar/c.png", "in-1.tar/d.png", "in-1.tar/e.heic"]
    assert "3: c.png, d.png, e.heic" in caplog.text


def test_brackets_in_the_name_of_a_folder_stand_for_themselves():
    for name in ("data [2024]", "data 2", "what?"):
        Path(name).mkdir()
        packed(f"{name}/in-0.tar", "a.png")
        found = [str(path) for path in ShardSource(f"{name}/in-*.tar").paths]
        assert found == [f"{name}/in-0.tar"]
        assert ShardSource(str(Path(name).absolute() / "in-*.tar")).paths == [
            Path(name).absolute() / "in-0.tar"
        ]


def test_a_damaged_source_costs_no_result_that_was_there():
    packed("in-0.tar", "a.png", "b.png")
    packed("in-1.tar", "c.png", "d.png")
    run("out/s%d.tar")
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    Path("in-1.tar").write_bytes(b"none" * 1000)
    for options in ("q", "r"):
        assert "not an uncompressed tar" in run("out/s%d.tar", options)["failed"]["in-1.tar"]
        assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("output", ["in-%d.tar", "x/../in-%1d.tar", "linked/y-%d.tar"])
def test_no_shard_takes_the_place_of_a_source(output, overwrite):
    packed("in-0.tar", "a.png")
    packed("in-1.tar", "b.png")
    for folder in ("x", "linked"):
        Path(folder).mkdir()
    Path("linked/y-1.tar").symlink_to("../in-1.tar")
    before = {path: path.read_bytes() for path in Path().glob("*.tar")}
    places = Path("in-{0..1}.tar"), Path(output)
    result = Result(".x", "q", Path.is_file, overwrite)
    with pytest.raises(OutputError, match="is used twice and would be lost"):
        batch.run(Never(), ShardSource("in-{0..1}.tar"), places, result, Way())
    assert {path: path.read_bytes() for path in Path().glob("*.tar")} == before
