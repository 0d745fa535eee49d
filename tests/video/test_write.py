"""Standard codecs that are told what matters, on frames of a real clip."""

import dataclasses
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vcm import video
from vcm.commands import clips
from vcm.errors import ImageError, OutputError, SpecError
from vcm.roi.mask import RoiMask
from vcm.video import Clip, Span
from vcm.video.codecs import CODECS, Settings, names, parsed
from vcm.video.follow import Masked
from vcm.video.steer import steps_of
from vcm.video.write import ClipWriter, Written

av = pytest.importorskip("av", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("imageio_ffmpeg", reason="needs: pip install 'vcm[anchors]'")
from clips_made import ffmpeg  # noqa: E402

COUNT = 12
FAST = {"x264": "veryfast", "x265": "superfast", "svt-av1": "10", "vvenc": "faster",
        "kvazaar": "ultrafast"}  # fmt: skip
STEERED = [name for name in names() if "+" in name]


@pytest.fixture(scope="module")
def source(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive with sound, 384x216: everything moves."""
    path = tmp_path_factory.mktemp("clip") / "road.mkv"
    clip = shared / "data" / "video" / "road.mp4"
    ffmpeg("-ss", "2", "-i", clip, "-frames:v", COUNT, "-t", "0.5", "-vf", "scale=384:-2",
           "-c:v", "ffv1", "-c:a", "copy", path)  # fmt: skip
    return path


def moving(clip: Clip, sigma: float = 0.1) -> Iterator[Masked]:
    """A box that goes over the frames."""
    for i, frame in enumerate(clip):
        roi = np.zeros(frame.image.shape[:2], bool)
        roi[64:160, 32 + 16 * i : 128 + 16 * i] = True
        yield Masked(frame, RoiMask(roi, sigma, "a box"))


def everywhere(clip: Clip) -> Iterator[Masked]:
    for frame in clip:
        yield Masked(frame, RoiMask(np.ones(frame.image.shape[:2], bool), 1.0, "all"))


def written(codec: str, source: Path, target: Path, **settings: object) -> Written:
    base = codec.partition("+")[0]
    writer = ClipWriter(codec, Settings(**{"preset": FAST[base]} | settings))  # type: ignore[arg-type]
    clip = video.open(source)
    return writer(moving(clip), clip, target, str(source))


def gap(source: Path, target: Path) -> tuple[float, float]:
    """PSNR of the ROI, and by how much it is over that of the background."""
    inside, outside = [], []
    for one, frame in zip(moving(video.open(source)), video.open(target), strict=True):
        error = (one.frame.image.astype(float) - frame.image) ** 2
        inside.append(error[one.mask.roi].mean())
        outside.append(error[~one.mask.roi].mean())
    psnr = [10 * np.log10(255**2 / np.mean(errors)) for errors in (inside, outside)]
    return psnr[0], psnr[0] - psnr[1]


@pytest.fixture(scope="module")
def plain(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple]:
    """Of each codec without words: what was written, PSNR and gap."""
    path = tmp_path_factory.mktemp("plain") / "a.mp4"
    return {name: (written(name, source, path), *gap(source, path)) for name in CODECS}


@pytest.mark.parametrize("codec", STEERED)
def test_the_roi_gains_on_the_background_and_the_file_shrinks(
    codec: str, source: Path, plain: dict[str, tuple], tmp_path: Path
) -> None:
    made = written(codec, source, tmp_path / "a.mp4")
    before, psnr, difference = plain[codec.partition("+")[0]]
    now, steered = gap(source, tmp_path / "a.mp4")
    assert steered > difference + 3  # dB, of a mask that moves 16 pixels a frame
    assert now > psnr - 3  # what comes into the box is predicted from what was coarse
    assert made.picture_bytes < 0.9 * before.picture_bytes


@pytest.mark.parametrize("codec", CODECS)
def test_players_find_all_frames_their_times_and_the_sound(
    codec: str, source: Path, tmp_path: Path
) -> None:
    for low_delay in {False, CODECS[codec].low_delay}:
        made = written(codec, source, tmp_path / "a.mp4", low_delay=low_delay)
        frames = list(video.open(tmp_path / "a.mp4"))
        origin = next(iter(video.open(source))).time
        end = origin + Fraction(COUNT, 25)
        times = [frame.time - origin for frame in video.open(source)]
        assert [f.time for f in frames] == times and len(times) == COUNT == made.frames
        assert made.bytes == (tmp_path / "a.mp4").stat().st_size > made.picture_bytes
        assert made.seconds == pytest.approx(COUNT / 25) and made.sounds == 1
        with av.open(str(tmp_path / "a.mp4")) as file:
            assert file.streams.video[0].codec_context.codec_tag == CODECS[codec].tag
            assert file.streams.video[0].frames == COUNT
            packets = [p for p in file.demux(video=0) if p.size]
            reordered = [p.pts for p in packets] != sorted(p.pts for p in packets)
            assert not (low_delay and reordered)
        with av.open(str(source)) as a, av.open(str(tmp_path / "a.mp4")) as b:
            sound = [p for p in a.demux(audio=0) if p.size]
            given = [bytes(p) for p in sound if origin <= p.pts * p.time_base < end]
            kept = [bytes(p) for p in b.demux(audio=0) if p.size]
        assert len(kept) > 20 and kept == given


@pytest.mark.parametrize("codec", CODECS)
def test_frames_stand_alone(codec: str, source: Path, tmp_path: Path) -> None:
    made = written(codec, source, tmp_path / "a.mp4", intra=True)
    apart = written(codec, source, tmp_path / "b.mp4")
    assert made.picture_bytes > 1.3 * apart.picture_bytes
    if codec in ("x265", "kvazaar"):  # no text of its own in each frame
        assert not re.search(rb"x265 \(build|Kvazaar HEVC", (tmp_path / "a.mp4").read_bytes())
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert all(p.is_keyframe for p in file.demux(video=0) if p.size)
    if CODECS[codec].low_delay:
        with pytest.raises(SpecError, match="low delay and intra exclude each other"):
            written(codec, source, tmp_path / "c.mp4", intra=True, low_delay=True)


def test_random_access_reorders(source: Path, tmp_path: Path) -> None:
    written("x264", source, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as file:
        shown = [p.pts for p in file.demux(video=0) if p.size]
    assert shown != sorted(shown)


def test_a_rate_is_kept_by_a_steered_encoder(source: Path, tmp_path: Path) -> None:
    for codec in ("x264+roi", "x265+roi"):
        low = written(codec, source, tmp_path / "a.mp4", kbps=150)
        high = written(codec, source, tmp_path / "b.mp4", kbps=600)
        assert high.kbps > 1.8 * low.kbps
        assert gap(source, tmp_path / "b.mp4")[1] > 3


@pytest.mark.parametrize("codec", ["x264+roi", "kvazaar+roi", "vvenc+blur"])
def test_times_that_vary_and_odd_sides(codec: str, shared: Path, tmp_path: Path) -> None:
    filters = "scale=191:107,setpts='(N+if(gte(N,3),5,0))/(12.5*TB)'"
    clip = shared / "data" / "video" / "car-detection.mp4"
    ffmpeg("-i", clip, "-frames:v", "9", "-vf", filters, "-fps_mode", "vfr", "-an", "-c:v", "ffv1",
           tmp_path / "a.mkv")  # fmt: skip
    source = video.open(tmp_path / "a.mkv")
    preset = FAST[codec.partition("+")[0]]
    made = ClipWriter(codec, Settings(preset=preset))(moving(source), source, tmp_path / "b.mp4")
    assert made.sounds == 0
    back = video.open(tmp_path / "b.mp4")
    assert (back.width, back.height) == (192, 108)
    assert [f.time for f in back] == [f.time for f in source]


def test_nothing_is_left_of_what_fails(source: Path, tmp_path: Path) -> None:
    clip = video.open(source)

    def breaks() -> Iterator[Masked]:
        for number, one in enumerate(moving(clip)):
            if number == 5:
                raise KeyboardInterrupt
            yield one

    (tmp_path / "a.mp4").write_bytes(b"before")
    for codec in ("x264+roi", "kvazaar+roi", "vvenc"):
        with pytest.raises(KeyboardInterrupt):
            ClipWriter(codec, Settings())(breaks(), clip, tmp_path / "a.mp4")
        with pytest.raises(ImageError, match="no frame"):
            ClipWriter(codec, Settings())(iter(()), clip, tmp_path / "a.mp4")
        assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]
    with pytest.raises(OutputError, match="ends in .mp4"):
        ClipWriter("x264", Settings())(moving(clip), clip, tmp_path / "a.avi")
    with pytest.raises(OutputError, match="cannot write"):
        ClipWriter("x264", Settings())(moving(clip), clip, tmp_path / "none" / "a.mp4")


def test_sound_that_the_container_cannot_hold_is_told_before_the_work(
    source: Path, tmp_path: Path
) -> None:
    ffmpeg("-i", source, "-c:v", "copy", "-c:a", "libvorbis", tmp_path / "a.mkv")
    clip = video.open(source)
    writer = ClipWriter("x264", Settings())
    with pytest.raises(OutputError, match="cannot hold the sound"):
        writer(iter(()), clip, tmp_path / "b.mov", str(tmp_path / "a.mkv"))
    made = writer(everywhere(clip), clip, tmp_path / "b.mkv", str(tmp_path / "a.mkv"))
    assert made.sounds == 1


@pytest.mark.parametrize("codec", ["svt-av1", "x265", "kvazaar", "vvenc", "x264"])
def test_an_option_that_an_encoder_rejects_is_an_error(
    codec: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them says so and goes on, but for vvenc."""
    row = CODECS[codec]
    more = {"svt-av1": ("svtav1-params", "no-such=1"), "x265": ("x265-params", "no-such=1"),
            "kvazaar": ("kvazaar-params", "no-such=1"), "x264": ("x264-params", "no-such=1"),
            "vvenc": ("vvenc-params", "no-such=1")}  # fmt: skip
    changed = dataclasses.replace if dataclasses.is_dataclass(row) else type(row)._replace
    wrong = changed(row, options=lambda s: row.options(s) | dict([more[codec]]))
    monkeypatch.setitem(CODECS, codec, wrong)  # type: ignore[arg-type]
    clip = video.open(source, Span(0, 4))
    with pytest.raises(SpecError, match="reject|failed|cannot"):
        ClipWriter(codec, Settings())(everywhere(clip), clip, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_settings_that_a_codec_does_not_have() -> None:
    for codec, settings, told in (
        ("x266", {}, "expected one of x264, x264"),
        ("svt-av1+roi", {}, "svt-av1, svt-av1.blur"),
        ("x265", {"preset": "hard"}, "ultrafast"),
        ("x265", {"crf": 52}, "0 to 51"),
        ("svt-av1", {"crf": 0}, "1 to 63"),
        ("x264", {"crf": 30, "kbps": 100.0}, "set once"),
        ("x264", {"kbps": -1.0}, "over 0"),
        ("vvenc", {"low_delay": True}, "x264, x265, svt-av1, kvazaar"),
    ):
        with pytest.raises(SpecError, match=told):
            ClipWriter(codec, Settings(**settings))  # type: ignore[arg-type]
    assert parsed("x265+roi")[1] == "roi"
    assert (steps_of(1.0), steps_of(0.5), steps_of(0.1)) == (0, 6, 20)
    assert tuple(names()) == clips.CODECS


def test_more_of_fewer_frames_a_second(source: Path, tmp_path: Path) -> None:
    clip = video.open(source, Span(2, None, Fraction(5)))
    made = ClipWriter("x264", Settings())(everywhere(clip), clip, tmp_path / "a.mp4", str(source))
    assert made.frames == 2
    assert [f.time for f in video.open(tmp_path / "a.mp4")] == [0, Fraction(1, 5)]
