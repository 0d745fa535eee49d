"""`vcm watch`: each picture that comes into a folder, with the models loaded once."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from running import running

import vcm
from vcm import container, image
from vcm.cli import cli

WAIT = 120  # seconds after which the program is taken to hang


@pytest.mark.slow
def test_pictures_are_encoded_as_they_come(
    photos: dict[str, NDArray[np.uint8]], tiny_weights: Path, tmp_path: Path
) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    for name in ("broken.png", "phone.heic"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    kept = tmp_path / "in" / "kept.jfif"
    image.write(kept.with_suffix(".jpg"), photos["cup"])
    kept.with_suffix(".jpg").rename(kept)
    os.utime(kept, (1, 1))
    (tmp_path / "out" / "kept.vcm").touch()
    command = [sys.executable, "-m", "vcm", "watch", "in", "-o", "out", "--box", "8,8,64,64"]
    command += ["--quality", "40", "--weights", str(tiny_weights), "--json"]
    with running(command, cwd=tmp_path) as process:
        for name in ("a", "b"):
            image.write(tmp_path / "in" / f"{name}.png", photos["cup"])
            target, end = tmp_path / "out" / f"{name}.vcm", time.monotonic() + WAIT
            while not target.exists() and time.monotonic() < end:
                assert process.poll() is None, process.communicate()
                time.sleep(0.1)
            roi = vcm.RoiMask(_box(photos["cup"].shape), 0.1, "a box")
            same = vcm.encode(photos["cup"], roi, vcm.Codec.load(tiny_weights), quality=40)
            assert container.read(target) == same
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(WAIT) == 130
        out, err = process.communicate()
    reports = [json.loads(line) for line in out.splitlines()]
    assert [report["file"] for report in reports] == ["out/a.vcm", "out/b.vcm"]
    said = err.splitlines()
    assert len(said) == 3 and said[0].startswith("vcm: in/broken.png: ")
    assert said[1].startswith("vcm: in/phone.heic: ")
    assert said[2].startswith("vcm: out: kept 1 from an earlier run")


def _box(size: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.zeros(size[:2], np.bool_)
    inside[8:72, 8:72] = True
    return inside


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, tiny_weights: Path) -> None:
    command = ["watch", str(tmp_path), "-o", str(tmp_path / "none"), "--weights", str(tiny_weights)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code and "there is no folder" in done.output
