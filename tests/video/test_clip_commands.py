"""`vcm encode` and `vcm roi` of clips: what they say, what they refuse, what they leave."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vcm import image, video
from vcm.cli import cli

pytest.importorskip("av", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("imageio_ffmpeg", reason="needs: pip install 'vcm[anchors]'")
from clips_made import made  # noqa: E402

FAST = ["--codec", "x264+roi", "--preset", "ultrafast"]


@pytest.fixture
def clip(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve frames of a street, with sound, in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    return made(Path("clip.mp4"), shared / "data" / "video" / "road.mp4", 12, "-t", "0.48",
                width=320)  # fmt: skip


def vcm(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_words_to_a_file_that_players_open(clip: Path) -> None:
    done = vcm("encode", "clip.mp4", "--text", "car", *FAST, "--every", "4", "-o", "out.mp4")
    assert done.exit_code == 0, done.output
    assert "out.mp4: 12 frames, 0.48 s" in done.stdout and "sound copied" in done.stdout
    assert "ROI: car (embedded" in done.stdout
    assert "clip.mp4: frames" in done.stderr
    assert len(list(video.open("out.mp4"))) == 12


def test_the_report_for_programs(clip: Path) -> None:
    line = ["encode", "clip.mp4", "--box", "40,40,80,80", *FAST, "--json", "-o", "out.mkv"]
    done = vcm(*line, "--frames", "2:8", "--no-sound", "--sigma", "0.5")
    report = json.loads(done.stdout)
    assert (report["frames"], report["sounds"], report["sigma"]) == (6, 0, 0.5)
    assert report["bytes"] == Path("out.mkv").stat().st_size and report["kbps"] > 0
    assert report["seconds"] == pytest.approx(6 / 25) and report["codec"] == "x264+roi"
    assert report["roi_share"] == pytest.approx(6400 / (320 * 180), abs=1e-3)


def test_frames_that_show_nothing_are_counted(clip: Path) -> None:
    done = vcm("encode", "clip.mp4", "--text", "zebra", *FAST, "--frames", ":3", "-o", "out.mp4")
    assert done.exit_code == 0, done.output
    assert "the words found nothing in 3 frames" in done.stdout
    stopped = vcm("encode", "clip.mp4", "--text", "zebra", *FAST, "--on-empty", "error",
                  "-o", "none.mp4")  # fmt: skip
    assert stopped.exit_code == 2 and "set another --on-empty" in stopped.stderr
    assert sorted(p.name for p in Path().iterdir()) == ["clip.mp4", "out.mp4"]


def test_masks_are_shown_over_the_frames(clip: Path) -> None:
    done = vcm("roi", "clip.mp4", "--box", "100,60,100,80", "--fps", "10", "-o", "masks.mp4")
    assert done.exit_code == 0, done.output
    frames = list(video.open("masks.mp4"))
    assert [f.time for f in frames] == [Fraction(i, 25) for i in (0, 3, 5, 8, 10)]
    edge = frames[0].image[60, 110:190].astype(int).mean(0)
    assert edge[0] > 150 and edge[1] > 120 and edge[2] < 100  # yellow


def test_a_folder_raw_samples_and_a_pipe(clip: Path) -> None:
    Path("frames").mkdir()
    raw = b""
    for frame in video.open("clip.mp4", video.Span(0, 4)):
        image.write(Path("frames") / f"{frame.number:03}.png", frame.image)
        raw += np.ascontiguousarray(frame.image).tobytes()
    Path("a.rgb").write_bytes(raw)
    for source, more in (("frames", []), ("a.rgb", ["--raw", "320x180:rgb24"])):
        done = vcm("encode", source, *more, "--rate", "10", *FAST, "--box", "9,9,50,50", "-o",
                   "out.mp4")  # fmt: skip
        assert "4 frames, 0.40 s" in done.stdout, done.output
    command = [sys.executable, "-m", "vcm", "encode", "-", "--raw", "320x180:rgb24", "--rate", "5"]
    done = subprocess.run([*command, *FAST, "--box", "9,9,50,50", "-o", "out.mp4"], input=raw,
                          capture_output=True)  # fmt: skip
    assert b"4 frames, 0.80 s" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("encode clip.mp4 --text car -o a.mp4", "give --codec, such as x265+roi"),
        ("encode clip.mp4 --codec x265+roi -o a.mp4", "give --text"),
        ("encode clip.mp4 --codec x265 --bpp 1 -o a.mp4", "--bpp is for pictures alone"),
        ("encode clip.mp4 --codec x265 --exif ignore -o a.mp4", "--exif is for pictures alone"),
        ("encode a.png --crf 30 -o a.vcm", "--crf is for clips alone"),
        ("roi a.png --box 1,1,5,5 --every 2 -o b.png", "--every is for clips alone"),
        ("encode clip.mp4 --codec x265 -o clip.mp4", "used twice"),
        ("encode clip.mp4 --codec x265 -o a.avi", "ends in .mp4"),
        ("encode clip.mp4 --codec x265 --frames 7 -o a.mp4", "--frames: expected FIRST:LAST"),
        ("encode clip.mp4 --codec x265 --frames 9:7 -o a.mp4", "FIRST < LAST"),
        ("encode clip.mp4 --codec x265 --frames 90: -o a.mp4", "no frame in this part"),
        ("encode clip.mp4 --codec x265 --fps many -o a.mp4", "--fps: expected frames a second"),
        ("encode clip.mp4 --codec x265 --raw big -o a.mp4", "--raw: expected WIDTHxHEIGHT"),
        ("encode clip.yuv --codec x265 -o a.mp4", "give it with --raw 768x432"),
        ("encode clip.mp4 --codec x264 --preset 3 -o a.mp4", "preset: expected one of ultrafast"),
        ("roi clip.mp4 -o a.mp4", "no ROI to show"),
        ("encode none.mp4 --codec x264 -o a.mp4", "no such file"),
        ("encode clip.mp4 --text car:0.5,dog --codec x265+roi -o a.mp4", "matter equally"),
        ("roi clip.mp4 --text car --importance learned -o a.mp4", "leave out --importance and"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(clip: Path, line: str, told: str) -> None:
    before = sorted(Path().iterdir())
    done = vcm(*line.split())
    assert done.exit_code == 2 and told in done.stderr, done.output
    assert sorted(Path().iterdir()) == before
