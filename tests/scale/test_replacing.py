"""What a set may not take the place of: other sets' results, others' files, other commands'."""

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from jobs import Copying, Never

from vcm.commands import batch
from vcm.commands.batch import Result, Way
from vcm.errors import OutputError
from vcm.files import held
from vcm.scale import pools
from vcm.scale.manifest import NAME, Line, Manifest
from vcm.scale.sources import files
from vcm.scale.work import Here

OTHERS = b'{"audio": 1}\n{"audio": 2}\n'
ONE = Way(workers=1, per_shard=3)
LINE = Line("a.png", "", "", "a.x")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every command runs in a folder of its own and in this process."""
    monkeypatch.setattr(pools, "pool_of", lambda workers, ray: Here())
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["out", "out/s%d.tar"])
def output(request):
    """A folder, and shards."""
    return Path(request.param)


def made(folder, *names):
    """A folder of pictures that are like no others."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        (Path(folder) / name).write_bytes(f"{Path(folder).absolute()}/{name}".encode())
    return Path(folder)


def run(folder, output, job=None, options="q", overwrite=False, way=ONE):
    """Copies a folder; the report."""
    result, found = Result(".x", options, Path.is_file, overwrite), files(sorted(folder.iterdir()))
    return batch.run(job or Copying(options), found, (folder, output), result, way)


def contents(folder="out"):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_another_set_of_the_same_names_is_refused_before_the_work(output):
    first, second = made("100CANON", "1.png", "2.png"), made("101CANON", "1.png", "2.png")
    run(first, output)
    before = contents()
    with pytest.raises(OutputError, match="was made from '.*100CANON.*another place"):
        run(second, output, Never())
    assert contents() == before
    assert run(second, output, overwrite=True)["done"] == 2
    assert run(second, output, options="r")["done"] == 2  # now it is theirs


def test_the_same_path_seen_from_another_folder_is_another_set(output, monkeypatch):
    for card in ("card1", "card2"):
        made(f"{card}/DCIM", "1.png")
    monkeypatch.chdir("card1")
    run(Path("DCIM"), ".." / output)
    monkeypatch.chdir("../card2")
    with pytest.raises(OutputError, match="was made from '.*card1/DCIM"):
        run(Path("DCIM"), ".." / output, Never())


def test_a_picture_that_cannot_be_read_takes_over_no_result_of_another_set(output):
    run(made("a", "1.png"), output)
    before = contents()
    second = made("b")
    (second / "1.png").symlink_to("nowhere")
    with pytest.raises(OutputError, match="was made from"):
        run(second, output, Never())
    assert contents() == before


def test_a_shard_loses_nothing_to_another_set():
    first, second = made("a", "1.png", "2.png"), made("b", "3.png")
    run(first, Path("out/s%d.tar"))
    before = contents()
    with pytest.raises(OutputError, match="was made from '.*/a'"):
        run(second, Path("out/s%d.tar"), Never())
    (second / "3.png").unlink()
    shutil.copy("a/1.png", "b")
    with pytest.raises(OutputError, match="was made from '.*/a'"):  # 2 would be gone
        run(second, Path("out/s%d.tar"), Never())
    assert contents() == before


def test_a_longer_set_goes_on_in_the_last_shard():
    run(made("a", "1.png", "2.png"), Path("out/s%d.tar"))
    shutil.copytree("a", "b")
    report = run(made("b", "3.png"), Path("out/s%d.tar"))
    assert (report["done"], report["done_before"]) == (1, 2)
    with tarfile.open("out/s0.tar") as tar:
        assert tar.getnames() == ["1.x", "2.x", "3.x"]


def test_without_a_manifest_names_alone_are_compared_and_that_is_said():
    for folder, done in ((made("a", "1.png"), 1), (made("b", "1.png"), 0)):
        report = run(folder, Path("out"), way=Way())
        assert len(report["files"]) == done
    assert "recognised by their names alone" in "\n".join(batch.lines(report))


@pytest.mark.parametrize("text", [OTHERS, b'{"audio": 1}', b'[]\n{"source": ', b"\0\n"])
def test_the_manifest_of_others_is_left_alone(text):
    made("out")
    Path("out", NAME).write_bytes(text)
    for way in (Way(), Way(workers=1)):
        with pytest.raises(OutputError, match="line 1 is not one that vcm wrote; move it away"):
            run(made("a", "1.png"), Path("out"), way=way)
    assert contents() == {NAME: text}


@pytest.mark.parametrize("half", [b'{"sour', b'{"source": "a.png", "sha', b"\0\0"])
def test_half_a_line_of_ours_goes(half):
    whole = b""
    if half == b"\0\0":  # after a line of ours whatever the disk made of the next one
        Manifest(Path()).append([LINE])
        whole = Path(NAME).read_bytes()
    Path(NAME).write_bytes(whole + half)
    assert list(Manifest(Path())) == (["a.x"] if whole else [])
    assert Path(NAME).read_bytes() == whole


def test_lines_of_a_manifest_may_come_to_say_more():
    Path(NAME).write_text('{"source": "s", "sha256": "", "options": "", "file": "a.x", "new": 1}\n')
    assert Manifest(Path()).line("a.x") == Line("s", "", "", "a.x")


def test_one_command_at_a_time_writes_to_a_folder(output):
    folder = made("a", "1.png")
    with held(made("out")), pytest.raises(OutputError, match="another command writes to 'out'"):
        run(folder, output, Never())
    assert contents() == {}
    assert run(folder, output)["done"] == 1
    assert run(folder, output)["done_before"] == 1  # the first one let go


@dataclass(frozen=True)
class Stopped:
    """Ctrl-C at the third picture."""

    def load(self):
        def work(item):
            if item.place.number < 2:
                return batch.Made(item.data, {})
            assert len(list(Path("out").iterdir())) == 1  # the draft
            raise KeyboardInterrupt

        return work


def test_a_run_that_is_stopped_leaves_no_draft():
    with pytest.raises(KeyboardInterrupt):
        run(made("a", "1.png", "2.png", "3.png"), Path("out/s%d.tar"), Stopped())
    assert contents() == {}
