"""The examples of the public names of clips run as they are printed."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vcm
from vcm import video
from vcm.video.codecs import Settings
from vcm.video.coded import StreamEncoder
from vcm.video.follow import Following, follow
from vcm.video.write import ClipWriter

pytest.importorskip("av", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("imageio_ffmpeg", reason="needs: pip install 'vcm[anchors]'")
from clips_made import made  # noqa: E402


@pytest.mark.parametrize(
    "thing", [video.open, follow, ClipWriter, StreamEncoder], ids=lambda thing: thing.__name__
)
def test_an_example_runs(
    thing: Any, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(Path("clip.mp4"), shared / "data" / "video" / "road.mp4", 4, "-an", width=320)
    names = {"vcm": vcm, "video": video, "np": np, "Path": Path, "Settings": Settings,
             "Following": Following, "follow": follow, "ClipWriter": ClipWriter,
             "StreamEncoder": StreamEncoder}  # fmt: skip
    text = doctest.DocTestParser().get_doctest(thing.__doc__, names, thing.__name__, None, 0)
    assert text.examples
    said: list[str] = []
    assert doctest.DocTestRunner().run(text, out=said.append).failed == 0, "".join(said)
