"""Atomic writing: all bytes or none, and nothing left behind, tried with real failures."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vcm import container, image
from vcm.errors import OutputError
from vcm.files import STDOUT, draft_of, finish, held, write_atomic

LIMITED = """
import resource, sys
from pathlib import Path
from vcm.errors import OutputError
from vcm.files import write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as if the disk were full after 1000
try:
    write_atomic(Path(sys.argv[1]), bytes(5000))
except OutputError as error:
    print(error)
"""

UNPRIVILEGED = """
import os, sys
from pathlib import Path
from vcm.errors import OutputError
from vcm.files import write_atomic
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    write_atomic(Path(sys.argv[1]), b"new")
except OutputError as error:
    print(error)
"""


def run(code: str, path: Path) -> str:
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_new_and_existing_files_hold_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for data in (b"first", b"", b"second" * 100_000):
        write_atomic(path, data)
        assert path.read_bytes() == data
        assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file_or_stay(tmp_path: Path) -> None:
    ordinary, path = tmp_path / "ordinary", tmp_path / "a.bin"
    ordinary.touch()
    write_atomic(path, b"x")
    assert path.stat().st_mode == ordinary.stat().st_mode
    path.chmod(0o600)
    write_atomic(path, b"y")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_keeps_pointing_at_its_target(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, b"x")
    assert link.is_symlink()
    assert target.read_bytes() == b"x"


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomic(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "it is a folder"),
        ("none/a.bin", "there is no folder"),
        ("file/a.bin", "there is no folder"),
        ("n" * 256, "File name too long"),
        ("a\0b", "null byte"),
        ("circle", "[Ss]ymlink loop|Too many levels"),
    ],
)
def test_impossible_places_are_output_errors(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(OutputError, match=message) as caught:
        write_atomic(tmp_path / name, b"x")
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "circle",
        "file",
        "folder",
    ]


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)
    assert "File too large" in run(LIMITED, path)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == (
        {} if old is None else {"a.bin": old}
    )


def test_a_read_only_folder_and_file_are_left_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("open")
    for parent in (folder, *folder.parents):
        if "pytest-of-" in str(parent):
            parent.chmod(0o755)  # so that the unprivileged process reaches it
    path = folder / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o444)
    assert "read-only" in run(UNPRIVILEGED, path)
    folder.chmod(0o555)
    assert "Permission denied" in run(UNPRIVILEGED, folder / "b.bin")
    folder.chmod(0o755)
    assert [entry.read_bytes() for entry in folder.iterdir()] == [b"old"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the devices of Linux")
def test_devices_and_pipes_are_written_directly() -> None:
    code = "import sys; from vcm.files import *; write_atomic(Path(sys.argv[1]), b'x' * 100_000)"
    assert run(code, Path("/dev/stdout")) == "x" * 100_000
    write_atomic(Path(os.devnull), b"x")
    assert Path(os.devnull).is_char_device()
    with pytest.raises(OutputError, match="No space left"):
        write_atomic(Path("/dev/full"), b"x")


@pytest.mark.skipif(not STDOUT.exists(), reason="needs the devices of Linux")
def test_standard_output_is_written_wherever_it_leads(tmp_path: Path) -> None:
    code = "\n".join((
        "import sys; from vcm.commands.places import of_file; from vcm.files import *",
        "print('before', end=' ')",
        "write_atomic(of_file(Path('a.png'), Path(sys.argv[1]), False), b'x' * 100_000)",
    ))  # fmt: skip
    path = tmp_path / "a.vcm"
    path.write_text("kept ")
    with path.open("a") as file:
        subprocess.run([sys.executable, "-c", code, "/dev/stdout"], stdout=file, check=True)
    assert path.read_text() == "kept before " + "x" * 100_000
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_takes_the_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    path.write_bytes(b"old")
    path.chmod(0o600)
    draft_of(path).write_bytes(b"left by one that was killed")
    draft_of(path).write_bytes(b"new")
    finish(draft_of(path), path)
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    draft_of(tmp_path / "folder").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        finish(draft_of(tmp_path / "folder"), tmp_path / "folder")


ADDING = """
import sys
from pathlib import Path
from vcm.files import add_json
print("ready", flush=True)
add_json(Path(sys.argv[1]), {"child": 1})
print("added", flush=True)
"""


def test_entries_of_two_processes_are_both_there(tmp_path: Path) -> None:
    """While a folder is held another process waits; it takes up what came meanwhile."""
    path = tmp_path / "a.json"
    command = [sys.executable, "-c", ADDING, str(path)]
    with held(tmp_path):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        assert not path.exists()
        write_atomic(path, b'{"ours": 2}')
    assert child.stdout.readline() == "added\n" and child.wait() == 0
    child.stdout.close()
    assert json.loads(path.read_text()) == {"ours": 2, "child": 1}


def test_a_folder_that_cannot_be_held_can_be_used(tmp_path: Path) -> None:
    with held(tmp_path / "none"):
        pass
    with held(tmp_path), pytest.raises(OutputError, match="another command"), held(tmp_path):
        pass


WRITER = """
import sys
from pathlib import Path
from vcm.files import write_atomic
print("ready", flush=True)
for i in range(1000):
    write_atomic(Path("photo.vcm"), bytes([i % 256]) * 3_000_000)
"""


def test_killed_while_writing_a_file_is_absent_or_whole(tmp_path: Path) -> None:
    """Kill -9 at any moment; old and new contents may both be there, a mixture may not."""
    target = tmp_path / "photo.vcm"
    seen = set()
    for attempt in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER], cwd=tmp_path, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.003 * attempt * attempt)
        child.kill()
        child.wait()
        child.stdout.close()
        if target.exists():
            content = target.read_bytes()
            assert len(content) == 3_000_000 and len(set(content)) == 1
            seen.add(content[0])
    assert seen


KILLED_BEFORE_THE_NAME = """
import os, sys
from vcm.cli import main
os.fsync = lambda file: os.kill(os.getpid(), 9)
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_encoders_leave_no_part_of_a_file(tmp_path: Path, cat: NDArray[np.uint8]) -> None:
    """Kill -9 while it starts, while it codes, as soon as it writes, and before the last step."""
    output = tmp_path / "out" / "cat.vcm"
    output.parent.mkdir()
    image.write(tmp_path / "cat.png", cat)
    arguments = ["encode", "cat.png", "-o", str(output)]
    command = [sys.executable, "-m", "vcm", *arguments]
    for seconds in (0.3, 1, 2, 60):
        child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
        end = time.monotonic() + seconds
        while child.poll() is None and time.monotonic() < end:
            if any(output.parent.iterdir()):
                break
            time.sleep(0.0003)
        child.kill()
        child.wait()
        if output.exists():
            container.unpack(output.read_bytes())
        for path in output.parent.iterdir():
            path.unlink()
    done = subprocess.run([sys.executable, "-c", KILLED_BEFORE_THE_NAME, *arguments], cwd=tmp_path)
    assert done.returncode == -9
    assert not output.exists() and any(output.parent.iterdir())
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    header = container.unpack(output.read_bytes()).header
    assert (header.height, header.width) == cat.shape[:2]
