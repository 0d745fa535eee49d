"""A clip as a stream of our own and back, by the commands: words, damage, parts."""

import json
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import stream_by_the_text as text
from click.testing import CliRunner, Result

from vcm import container, image, pipeline, video
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.container.stream import FrameStream, opened

pytest.importorskip("av", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("imageio_ffmpeg", reason="needs: pip install 'vcm[anchors]'")
from clips_made import ffmpeg, made  # noqa: E402

BOX = ["--box", "40,30,80,60", "--sigma", "0.2"]
COUNT = 6


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(mapped_weights: Path) -> Run:
    """Runs a command; `encode` and `decode` with the toy codec."""

    def call(*arguments: str, code: int = 0) -> Result:
        line = [*arguments]
        if line[0] in ("encode", "decode"):
            line += ["--weights", str(mapped_weights)]
        done = CliRunner().invoke(cli, line)
        assert done.exit_code == code, done.output
        return done

    return call


@pytest.fixture(scope="module")
def coded(shared: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with six frames of a street, with sound, and what they are as a stream."""
    folder = tmp_path_factory.mktemp("coded")
    source = shared / "data" / "video" / "road.mp4"
    clip = made(folder / "clip.mp4", source, COUNT, "-t", "0.24", width=160)
    run("encode", str(clip), *BOX, "-o", str(folder / "a.vcms"))
    return folder


@pytest.fixture
def clip(coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The clip, in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(coded / "clip.mp4", "clip.mp4"))


@pytest.fixture
def stream(coded: Path, clip: Path) -> FrameStream:
    """The clip as a.vcms."""
    return opened(shutil.copy(coded / "a.vcms", "a.vcms"))


def test_each_frame_is_the_picture_that_it_would_be_alone(
    clip: Path, run: Run, mapped_weights: Path
) -> None:
    line = ["encode", "clip.mp4", *BOX, "--quality", "40", "--json", "-o", "a.vcms"]
    report = json.loads(run(*line).stdout)
    assert (report["frames"], report["bytes"]) == (COUNT, Path("a.vcms").stat().st_size)
    assert report["notes"] == ["its sound is left out: a .vcms stream holds only pictures"]
    assert report["seconds"] == pytest.approx(0.24)
    codec, found = Codec.load(mapped_weights), opened("a.vcms")
    told = text.read(Path("a.vcms").read_bytes())
    assert told.seconds == [Fraction(i, 25) for i in range(COUNT + 1)]
    *_, last = video.open("clip.mp4")
    image.write(Path("one.png"), last.image)
    run("encode", "one.png", *BOX, "--quality", "40", "-o", "one.vcm")
    alone = Path("one.vcm").read_bytes()
    assert container.pack(found.frame(COUNT - 1)) == alone
    files = sum(len(container.pack(found.frame(i))) for i in range(COUNT))
    assert report["bytes"] < files - 6 * COUNT + 50  # what frames share stands once
    run("decode", "a.vcms", "-o", "frames", "--workers", "1")
    pictures = sorted(Path("frames").iterdir())
    assert [p.name for p in pictures] == [f"{i:06}.png" for i in range(COUNT)]
    expected = pipeline.decode(alone, codec)
    assert (image.read(pictures[-1]) == expected).all()


def test_workers_and_words_and_what_is_stored(clip: Path, run: Run) -> None:
    words = ["--text", "car", "--on-empty", "background", "--store-text", "--frames", ":3"]
    for workers in ("1", "3"):
        run("encode", "clip.mp4", *words, "--workers", workers, "-o", f"{workers}.vcms")
    assert Path("1.vcms").read_bytes() == Path("3.vcms").read_bytes()
    info = run("info", "1.vcms").stdout
    assert re.search(r"text +car\n", info) and re.search(r"frames +3\n", info)
    report = json.loads(run("info", "1.vcms", "--json").stdout)
    assert report["lost"] == [] and report["failed"] == {} and report["said"] is None
    assert report["kbps"] == pytest.approx(8 * report["bytes"] / 0.12 / 1000)


def test_a_rate_for_each_frame(clip: Path, run: Run) -> None:
    run("encode", "clip.mp4", "--bytes", "1200", "--frames", ":3", "-o", "a.vcms")
    found = opened("a.vcms")
    assert all(abs(len(container.pack(found.frame(i))) - 1200) < 60 for i in range(3))
    assert len({found.frame(i).header.quality for i in range(3)}) > 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".y4m"])
def test_a_stream_becomes_a_clip_that_players_open(
    stream: FrameStream, run: Run, suffix: str
) -> None:
    done = run("decode", "a.vcms", "-o", f"b{suffix}")
    assert f"b{suffix}: 6 frames of 160 x 90, 0.24 s" in done.stdout
    run("decode", "a.vcms", "-o", "frames")
    back = list(video.open(f"b{suffix}"))
    assert [f.time for f in back] == [Fraction(i, 25) for i in range(COUNT)]
    for frame, path in zip(back, sorted(Path("frames").iterdir()), strict=True):
        seen, true = frame.image.astype(float), image.read(path).astype(float)
        if suffix == ".y4m":  # which alone has colours as fine as these, which are noise
            assert np.abs(seen - true).mean() < 3
        assert np.corrcoef(seen.mean(-1).ravel(), true.mean(-1).ravel())[0, 1] > 0.8


def test_times_that_vary_are_kept(clip: Path, run: Run) -> None:
    filters = "setpts='(N+if(gte(N,3),5,0))/(25*TB)'"
    ffmpeg("-i", clip, "-vf", filters, "-fps_mode", "vfr", "-an", "-c:v", "ffv1", "a.mkv")
    run("encode", "a.mkv", "-o", "a.vcms")
    run("decode", "a.vcms", "-o", "b.mp4")
    source, back = list(video.open("a.mkv")), list(video.open("b.mp4"))
    assert [f.time for f in back] == [f.time - source[0].time for f in source]
    assert "its frames are unevenly spaced" in run("decode", "a.vcms", "-o", "b.y4m").stdout


def damaged(at: int) -> None:
    data = bytearray(Path("a.vcms").read_bytes())
    data[at] ^= 1
    Path("bad.vcms").write_bytes(data)


def test_a_damaged_frame_costs_that_frame(stream: FrameStream, run: Run) -> None:
    for number in (0, 3):
        damaged(stream.slots[number].at + 30)
        done = run("decode", "bad.vcms", "-o", f"{number}", "--overwrite", code=2)
        shown = "1 frames could not be decoded; another frame is shown in their place"
        assert f"{shown}: {number}" in done.stdout
        report = json.loads(run("info", "bad.vcms", "--json", code=2).stdout)
        assert report["lost"] == [number] and report["failed"] == {f"frame {number}": "damaged"}
        seen = [image.read(Path(f"{number}") / f"{i:06}.png") for i in range(COUNT)]
        run("decode", "a.vcms", "-o", "all", "--overwrite")
        whole = [image.read(Path("all") / f"{i:06}.png") for i in range(COUNT)]
        whole[number] = whole[number - 1 if number else 1]
        assert all((a == b).all() for a, b in zip(seen, whole, strict=True))
    done = run("cut", "bad.vcms", "--frames", "2:5", "-o", "part.vcms", code=2)
    assert "1 frames are damaged or lost, and are missing in the output too: 1" in done.stdout
    run("decode", "part.vcms", "-o", "b.mp4", code=2)
    assert len(list(video.open("b.mp4"))) == 3


def test_a_stream_that_is_cut_off_plays_to_its_last_whole_frame(
    stream: FrameStream, run: Run
) -> None:
    data = Path("a.vcms").read_bytes()
    Path("bad.vcms").write_bytes(data[: stream.slots[4].at + 9])
    done = run("decode", "bad.vcms", "-o", "b.mp4", code=2)
    assert "note: it breaks off after frame 3" in done.stdout
    assert len(list(video.open("b.mp4"))) == 4
    Path("bad.vcms").write_bytes(data[: stream.slots[0].at + 9])
    done = run("decode", "bad.vcms", "-o", "c.mp4", code=2)
    assert "no frame can be decoded" in done.stderr and not Path("c.mp4").exists()


def test_parts_are_cut_and_joined_without_coding(stream: FrameStream, run: Run) -> None:
    assert "a.vcms" not in run("cut", "a.vcms", "--frames", ":2", "-o", "1.vcms").stdout
    run("cut", "a.vcms", "--frames", "2:", "-o", "2.vcms")
    report = json.loads(run("join", "1.vcms", "2.vcms", "-o", "b.vcms", "--json").stdout)
    assert Path("b.vcms").read_bytes() == Path("a.vcms").read_bytes()
    assert (report["frames"], report["seconds"]) == (COUNT, pytest.approx(0.24))
    run("decode", "a.vcms", "--frames", "2:4", "-o", "some")
    assert [p.name for p in sorted(Path("some").iterdir())] == ["000002.png", "000003.png"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("encode clip.mp4 --codec x264 -o b.vcms", "--codec is for clips by standard codecs alone"),
        ("encode clip.mp4 --kbps 9 -o b.vcms", "--kbps is for clips by standard codecs alone"),
        ("encode clip.mp4 --exif ignore -o b.vcms", "--exif is for pictures alone"),
        ("encode clip.mp4 --ordered -o b.vcms", "--ordered is for pictures alone"),
        ("encode clip.mp4 --quality 101 -o b.vcms", "--quality: expected"),
        ("encode clip.mp4 --frames 90: -o b.vcms", "no frame in this part"),
        ("encode clip.mp4 -o none/b.vcms", "there is no folder 'none'"),
        ("decode a.vcms -o b.avi", "expected a name that ends in .mp4"),
        ("decode a.vcms -o a.vcms", "used twice"),
        ("decode a.vcms --frames 9: -o b.mp4", "no frame can be decoded"),
        ("decode a.vcms --frames 9 -o b.mp4", "--frames: expected FIRST:LAST"),
        ("decode a.vcms --ordered -o b.mp4", "leave them out for one file"),
        ("decode a.vcms -o there", "exists already; name another folder; --overwrite replaces it"),
        ("decode clip.vcm --frames 1:2 -o b.png", "--frames is for .vcms streams alone"),
        ("decode clip.mp4 -o b.png", "expected a .vcm file, got an AVIF or HEIC picture or a vi"),
        ("info clip.vcms", "cannot read 'clip.vcms'"),
        ("cut a.vcms --frames 9: -o b.vcms", "there are 6 frames, none from 9"),
        ("cut a.vcms --frames 1:2 -o b.mp4", "ends in .vcms"),
        ("cut a.vcms --frames 1:2 -o a.vcms", "used twice"),
        ("join a.vcms -o b.vcms", "two or more streams"),
        ("join a.vcms clip.mp4 -o b.vcms", "expected a .vcms stream, got an AVIF or HEIC"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(
    stream: FrameStream, run: Run, line: str, told: str
) -> None:
    image.write(Path("there.png"), np.zeros((9, 9, 3), np.uint8))
    Path("there").mkdir(exist_ok=True)
    (Path("there.png")).rename("there/000003.png")
    before = sorted(Path().rglob("*"))
    assert told in run(*line.split(), code=2).stderr
    assert sorted(Path().rglob("*")) == before


def test_a_stream_of_another_model_says_so(stream: FrameStream) -> None:
    done = CliRunner().invoke(cli, ["decode", "a.vcms", "-o", "b.mp4"])
    assert done.exit_code == 2 and "which is not built in; name its weights" in done.stderr
