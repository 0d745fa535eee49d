"""A folder that is watched: each picture once, when it is whole."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from running import running
from without_torch import command, environment

from vcm import container, image
from vcm.edge.watch import Watch
from vcm.errors import ImageError, SpecError

WAIT = 120  # seconds after which the program is taken to hang


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return tmp_path / "in", tmp_path / "out"


class Encoder:
    """Writes what a picture holds; refuses what is no picture."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, source: Path, target: Path) -> None:
        if source.read_bytes() == b"bad":
            raise ImageError("no picture")
        self.made.append(source.name)
        target.write_bytes(source.read_bytes())


def watch(folders: tuple[Path, Path]) -> tuple[Watch, Encoder, list[str]]:
    encoder, said = Encoder(), list[str]()
    return Watch(*folders, encoder, said.append), encoder, said


def test_a_picture_is_taken_when_it_has_stopped_growing(folders: tuple[Path, Path]) -> None:
    one, encoder, _ = watch(folders)
    path = folders[0] / "a.jpg"
    path.write_bytes(b"half")
    one.look()
    path.write_bytes(b"half and half")
    one.look()
    assert encoder.made == []
    one.look()
    one.look()
    assert encoder.made == ["a.jpg"]
    path.write_bytes(b"another picture")
    one.look()
    one.look()
    assert encoder.made == ["a.jpg", "a.jpg"]


def test_a_second_run_makes_only_what_is_new(folders: tuple[Path, Path]) -> None:
    (folders[0] / "a.jpg").write_bytes(b"a")
    for names, kept in ((["a.jpg"], 0), ([], 1)):
        one, encoder, said = watch(folders)
        one.look()
        one.look()
        assert encoder.made == names
        assert [line.partition(": ")[2][:11] for line in said] == ["kept 1 from"] * kept


def test_what_cannot_be_encoded_is_said_once(folders: tuple[Path, Path]) -> None:
    for name in ("a.jpg", "a.png", "notes.txt", ".hidden.jpg"):
        (folders[0] / name).write_bytes(b"good")
    (folders[0] / "b.jpg").write_bytes(b"bad")
    one, encoder, said = watch(folders)
    for _ in range(4):
        one.look()
    assert encoder.made == ["a.jpg"]
    assert [line.split("/")[-1] for line in said] == [
        "a.png: its file would be that of a.jpg; rename one",
        "b.jpg: no picture",
    ]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="create it first"):
        watch((tmp_path, tmp_path / "none"))


def test_the_program_watches_until_it_is_stopped(
    toy: Path, photos: dict[str, NDArray[np.uint8]], folders: tuple[Path, Path]
) -> None:
    image.write(folders[0] / "a.png", photos["cup"])
    arguments = command(toy, "encode", "--watch", folders[0], "-o", folders[1])
    with running(arguments, env=environment()) as process:
        for name in ("a", "b"):
            image.write(folders[0] / f"{name}.png", photos["cup"])
            end = time.monotonic() + WAIT
            while not (folders[1] / f"{name}.vcm").exists() and time.monotonic() < end:
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
            data = container.read(folders[1] / f"{name}.vcm")
            assert container.unpack(data).header.width == photos["cup"].shape[1]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(WAIT) == 130
        assert process.communicate()[1] == ""
