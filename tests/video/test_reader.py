"""Clips in: formats, times, turns, damage. Truth is what ffmpeg's own program makes of them."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vcm import image, video
from vcm.errors import ImageError, SpecError
from vcm.video import Raw, Span

pytest.importorskip("av", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("imageio_ffmpeg", reason="needs: pip install 'vcm[anchors]'")
from clips_made import ffmpeg, made  # noqa: E402

EXACT = "scale=flags=accurate_rnd+full_chroma_int+bicubic"
KINDS = {  # suffix -> how it is coded
    ".mp4": ["-an", "-c:v", "libx264"],
    ".mkv": ["-an", "-c:v", "libx265", "-x265-params", "log-level=none"],
    ".avi": ["-an", "-c:v", "mpeg4"],
    ".y4m": ["-an", "-pix_fmt", "yuv420p"],
}


@pytest.fixture(scope="module")
def car(shared: Path) -> Path:
    return shared / "data" / "video" / "car-detection.mp4"


def truth(path: Path, height: int, width: int, *options: str) -> np.ndarray:
    """What ffmpeg decodes: (N, H, W, 3) uint8."""
    from vcm.anchors.ffmpeg import program

    command = [program(), "-v", "error", *options, "-i", str(path), "-vf", EXACT]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def apart(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("suffix", KINDS)
def test_every_kind_of_file_gives_what_ffmpeg_decodes(
    suffix: str, car: Path, tmp_path: Path
) -> None:
    path = made(tmp_path / f"a{suffix}", car, 5, *KINDS[suffix])
    clip = video.open(path)
    frames = list(clip)
    assert (clip.width, clip.height, clip.rate, clip.length) == (192, 108, Fraction(25, 2), 5)
    assert [f.number for f in frames] == list(range(5)) and clip.notes == []
    times = [f.time - frames[0].time for f in frames]
    assert all(abs(t - Fraction(2 * i, 25)) <= clip.tick for i, t in enumerate(times))
    assert apart(np.stack([f.image for f in frames]), truth(path, 108, 192)) <= 2
    assert len(list(clip)) == 5  # a second time


def test_raw_samples_and_folders_and_what_they_do_not_say(car: Path, tmp_path: Path) -> None:
    path = made(tmp_path / "a.yuv", car, 3, "-an", "-pix_fmt", "yuv420p10le", width=162)
    with pytest.raises(SpecError, match="bare samples"):
        video.open(path)
    clip = video.open(path, raw=Raw(162, 92, "yuv420p10le"), rate=Fraction(10))
    frames = list(clip)
    assert [f.time for f in frames] == [0, Fraction(1, 10), Fraction(1, 5)]
    assert clip.notes == ["its samples have 10 bit and are rounded to 8"]
    for frame in frames:
        image.write(tmp_path / f"{frame.number}.png", frame.image)
    folder = video.open(tmp_path, Span(1), rate=Fraction(10))
    assert folder.length == 2
    for a, b in zip(frames[1:], folder, strict=True):
        assert a.time == b.time and (a.image == b.image).all()
    path.write_bytes(path.read_bytes()[:-1000])  # the last frame is not whole
    assert len(list(video.open(path, raw=Raw(162, 92, "yuv420p10le")))) == 2


@pytest.mark.parametrize("size", [(0, 4, "gray"), (10**6, 10**6, "gray"), (4, 4, "rainbow")])
def test_raw_samples_that_cannot_be(size: tuple[int, int, str]) -> None:
    with pytest.raises(SpecError, match="raw video"):
        Raw(*size)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_are_upright(degrees: int, car: Path, tmp_path: Path) -> None:
    plain = made(tmp_path / "a.mp4", car, 2, "-an")
    ffmpeg("-display_rotation", str(degrees), "-i", plain, "-c", "copy", tmp_path / "b.mp4")
    clip = video.open(tmp_path / "b.mp4")
    size = (108, 192) if degrees == 180 else (192, 108)
    assert (clip.height, clip.width) == size
    decoded = np.stack([f.image for f in clip])
    assert apart(decoded, truth(tmp_path / "b.mp4", *size)) <= 8  # it turns before it converts
    assert np.abs(decoded.astype(int) - truth(tmp_path / "b.mp4", *size)).mean() < 0.5


def test_odd_sizes_and_times_that_vary(car: Path, tmp_path: Path) -> None:
    filters = "scale=191:107,setpts='(N+if(gte(N,3),5,0))/(12.5*TB)'"
    ffmpeg("-i", car, "-frames:v", "6", "-vf", filters, "-fps_mode", "vfr", "-an", "-c:v", "ffv1",
           tmp_path / "a.mkv")  # fmt: skip
    clip = video.open(tmp_path / "a.mkv")
    assert (clip.width, clip.height) == (191, 107)
    assert [float(f.time) for f in clip] == [0, 0.08, 0.16, 0.64, 0.72, 0.8]


def test_a_part_of_a_clip(car: Path) -> None:
    part = video.open(car, Span(100, 106))
    assert part.length == 6
    assert [(f.number, f.time) for f in part] == [(i, Fraction(2 * i, 25)) for i in range(100, 106)]
    slow = video.open(car, Span(0, 25, Fraction(5)))
    assert (slow.length, slow.rate) == (10, 5)
    # the first frame at or after each fifth of a second
    assert [f.number for f in slow] == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]
    for first, last, fps in ((3, 3, None), (-1, None, None), (0, None, Fraction(0))):
        with pytest.raises(SpecError):
            Span(first, last, fps)


def test_damage_is_told_and_stops_nothing(car: Path, tmp_path: Path) -> None:
    whole = made(tmp_path / "a.mp4", car, 20, "-an", "-movflags", "faststart", "-bf", "0",
                 "-g", "4")  # fmt: skip
    data = whole.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    clip = video.open(tmp_path / "cut.mp4")
    count = len(list(clip))
    assert 5 < count < 20 and f"it speaks of 20 frames and holds {count}" in clip.notes
    flipped = bytearray(data)
    flipped[-600:-300] = bytes(b ^ 0x5A for b in flipped[-600:-300])
    (tmp_path / "bad.mp4").write_bytes(flipped)
    clip = video.open(tmp_path / "bad.mp4")
    assert len(list(clip)) >= 18 and clip.notes


def test_what_is_no_clip(car: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "head.mp4").write_bytes(car.read_bytes()[:3000])
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / "sound.mp4")
    for name, told in (
        ("text.mp4", "no clip that can be read"),
        ("head.mp4", "no clip|no frame"),
        ("sound.mp4", "without a video stream"),
        ("none.mp4", "no such file"),
    ):
        with pytest.raises(ImageError, match=told):
            video.open(tmp_path / name)


def test_a_pipe_is_read_once(car: Path, tmp_path: Path) -> None:
    path = made(tmp_path / "a.y4m", car, 4, "-an", "-pix_fmt", "yuv420p")
    code = (
        "from vcm import video\nclip = video.open('-')\nprint(len(list(clip)))\n"
        "try: list(clip)\nexcept video.reader.ImageError as error: print(error)"
    )
    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True)
    assert done.stdout.decode().split("\n")[:2] == ["4", "a pipe is read once; give a file"]
