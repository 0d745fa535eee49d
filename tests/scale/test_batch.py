"""What a run leaves behind: whole files, a line about each, and nothing that must be done twice."""

import json
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from jobs import Copying

from vcm.commands.batch import Result, Tally, each
from vcm.errors import OutputError, SpecError
from vcm.scale.manifest import Line, Manifest
from vcm.scale.shards import ShardSink
from vcm.scale.sinks import Folder
from vcm.scale.sources import files
from vcm.scale.work import Here

COUNT = 7


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        (tmp_path / "in" / f"p{number}.png").write_bytes(b"picture %d" % number)
    return tmp_path / "in"


@pytest.fixture(params=["folder", "shards"])
def run(request, sources, tmp_path):
    """Copies all sources by these options, to a folder or to shards of three; the report."""

    def call(options="q", overwrite=False):
        out = tmp_path / "out"
        sink = (
            Folder(out, ".x") if request.param == "folder" else ShardSink(out / "s%d.tar", ".x", 3)
        )
        result = Result(".x", options, Path.is_file, overwrite)
        found = files(sorted(sources.iterdir()))
        return each(Copying(options), found, Tally(sink, out, result, False), Here(), False)

    return call


def contents(out):
    """What is there: bytes by name, those of shards in their order."""
    found = {p.name: p.read_bytes() for p in out.glob("*.x")}
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {m.name: tar.extractfile(m).read() for m in tar}
    return found


def expected(options="q", **changed):
    whole = {f"p{n}": b"picture %d" % n for n in range(COUNT)} | changed
    return {f"{name}.x": data + options.encode() for name, data in whole.items()}


def lines(out):
    return [json.loads(text) for text in (out / "manifest.jsonl").read_text().splitlines()]


def test_what_is_done_stays_done(run, tmp_path):
    report = run()
    assert (report["done"], report["done_before"], report["failures"]) == (COUNT, 0, 0)
    assert contents(tmp_path / "out") == expected()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    assert run()["done_before"] == COUNT
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before
    assert run(overwrite=True)["done"] == COUNT
    assert all(line["bytes"] == 10 and line["bpp"] == 1.0 for line in lines(tmp_path / "out"))


def test_a_changed_source_and_changed_options_are_done_again(run, sources, tmp_path):
    run()
    (sources / "p4.png").write_bytes(b"another")
    assert (report := run())["done"] == 1 and report["done_before"] == COUNT - 1
    assert contents(tmp_path / "out") == expected(p4=b"another")
    assert run("r")["done"] == COUNT
    assert contents(tmp_path / "out") == expected("r", p4=b"another")


def test_errors_are_written_down_and_tried_again(run, sources, tmp_path):
    (sources / "p2.png").write_bytes(b"bad")
    report = run()
    assert report["failures"] == 1 and list(report["failed"].values()) == ["bad"]
    (line,) = [line for line in lines(tmp_path / "out") if line["error"]]
    assert line["file"].endswith("p2.x") and line["bytes"] is None
    assert "p2.x" not in contents(tmp_path / "out")
    assert run()["failures"] == 1
    (sources / "p2.png").write_bytes(b"picture 2")
    assert (report := run())["done"] == 1 and report["failures"] == 0
    assert contents(tmp_path / "out") == expected()


def test_results_that_were_damaged_or_lost_are_made_again(run, tmp_path):
    run()
    for path in (tmp_path / "out").iterdir():
        if path.name in ("p1.x", "s1.tar"):
            path.write_bytes(path.read_bytes()[:-1].replace(b"picture", b"PICTURE"))
        if path.name in ("p2.x", "s2.tar"):
            path.unlink()
    assert run()["done"] > 0
    assert contents(tmp_path / "out") == expected()


def test_half_a_line_is_dropped(run, tmp_path):
    run()
    path = tmp_path / "out" / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert run()["done"] == 1
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_shards_are_the_same_bytes_whoever_was_first(sources, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for out, order in ((one, range(COUNT)), (other, (6, 1, 5, 0, 2, 4, 3))):
        sink = ShardSink(out / "s%d.tar", ".x", 3)
        for number in order:
            place = sink.place(number, f"dir/p.{number}")
            sink.put(place, Line("", "", "", place.file), b"%d" % number)
        sink.close()
    assert [p.read_bytes() for p in sorted(one.iterdir())] == [
        p.read_bytes() for p in sorted(other.iterdir())
    ]


def test_webdataset_reads_our_shards(tmp_path):
    reason = "needs: pip install 'vcm[dev]'"
    reader = pytest.importorskip("webdataset.tariterators", reason=reason)
    sink = ShardSink(tmp_path / "s%d.tar", ".x", 3)
    for number in range(2):
        place = sink.place(number, f"dir/p.{number}")
        sink.put(place, Line("", "", "", place.file), b"%d" % number)
    sink.close()
    with (tmp_path / "s0.tar").open("rb") as file:
        opened = [{"url": "s0.tar", "stream": file}]
        samples = list(reader.group_by_keys(reader.tar_file_expander(opened)))
    assert [(s["__key__"], s["x"]) for s in samples] == [("dir/p%2E0", b"0"), ("dir/p%2E1", b"1")]


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from jobs import Copying
from vcm.commands.batch import Result, Tally, each
from vcm.scale.shards import ShardSink
from vcm.scale.sinks import Folder
from vcm.scale.sources import files
from vcm.scale.work import Here
out, kind = Path("out"), sys.argv[1]
sink = Folder(out, ".x") if kind == "folder" else ShardSink(out / "s%d.tar", ".x", 3)
tally = Tally(sink, out, Result(".x", "q", Path.is_file, False), False)
found = files(sorted(Path("in").iterdir()))
print("ready", flush=True)
each(Copying("q"), found, tally, Here(), False)
"""


@pytest.mark.parametrize("kind", ["folder", "shards"])
def test_killed_at_any_moment_the_lines_are_true_and_the_rest_is_done(kind, sources, tmp_path):
    for number in range(COUNT, 300):
        (sources / f"p{number}.png").write_bytes(b"picture %d" % number)
    out = tmp_path / "out"
    code = KILLED.format(here=str(Path(__file__).parent))
    partly = 0
    for attempt in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", code, kind], cwd=tmp_path, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        child.stdout.readline()
        time.sleep(0.01 * (attempt + 1))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if (out / "manifest.jsonl").exists():
            text = (out / "manifest.jsonl").read_bytes()
            names = [json.loads(line)["file"].split("/")[-1] for line in text.split(b"\n")[:-1]]
            there = contents(out)
            assert all(name in there for name in names)
            assert len(set(names)) == len(names)  # nothing was done twice
            partly += 0 < len(names) < 300
    assert partly
    subprocess.run([sys.executable, "-c", code, kind], cwd=tmp_path, check=True)
    assert contents(out) == {f"p{n}.x": b"picture %dq" % n for n in range(300)}
    assert kind == "folder" or not list(out.glob(".vcm-*"))  # drafts were written over


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(OutputError, match="move it away"):
        Manifest(tmp_path)
    for name in ("s.tar", "s%d%d.tar", "s%s.tar"):
        with pytest.raises(SpecError, match="expected a name such as out-%05d.tar"):
            ShardSink(tmp_path / name, ".x")
    with pytest.raises(SpecError, match="1 or more pictures in each"):
        ShardSink(tmp_path / "s%d.tar", ".x", 0)


def test_what_others_wrote_is_not_replaced(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    theirs = {out / name: b"a photo" for name in ("p2.x", "s0.tar")}
    for path, data in theirs.items():
        path.write_bytes(data)
    with pytest.raises(OutputError, match="exists already and manifest.jsonl does not list it"):
        run()
    assert {path: path.read_bytes() for path in theirs} == theirs
    for path in theirs:
        path.unlink()
    run()
    (out / "manifest.jsonl").unlink()  # a kill may come after the file and before its line
    assert run()["done"] == COUNT
    assert contents(out) == expected()


def test_of_a_smaller_set_shards_hold_no_more(sources, tmp_path, caplog):
    def run():
        sink = ShardSink(tmp_path / "s%d.tar", ".x", 3)
        tally = Tally(sink, tmp_path, Result(".x", "q", Path.is_file, False), False)
        return each(Copying("q"), files(sorted(sources.iterdir())), tally, Here(), False)

    run()
    (sources / "p5.png").unlink()
    (sources / "p6.png").unlink()
    assert run()["done_before"] == COUNT - 2
    with tarfile.open(tmp_path / "s1.tar") as tar:
        assert tar.getnames() == ["p3.x", "p4.x"]
    assert "s2.tar and later shards are from an earlier run; remove them" in caplog.text


def test_overwriting_is_asked_for(sources, tmp_path):
    (tmp_path / "p0.x").write_bytes(b"a photo")
    sink = Folder(tmp_path, ".x", overwrite=True)
    tally = Tally(sink, tmp_path, Result(".x", "q", Path.is_file, True), False)
    each(Copying("q"), files(sorted(sources.iterdir())), tally, Here(), False)
    assert contents(tmp_path) == expected()
