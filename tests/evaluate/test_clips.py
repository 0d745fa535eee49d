"""`vcm eval` of a clip: a real one, real codecs, and a detector of bright spots."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vcm import video
from vcm.cli import cli
from vcm.errors import SpecError
from vcm.evaluate.clips import data_of
from vcm.evaluate.footage import Footage
from vcm.evaluate.modes import Defaults
from vcm.evaluate.moving import OURS, build, check
from vcm.evaluate.plan import Plan
from vcm.evaluate.result import resampled
from vcm.roi.mask import RoiMask
from vcm.task import find_task
from vcm.video.codecs import names
from vcm.video.follow import Masked
from vcm.video.join import sizes

pytest.importorskip("av", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("motmetrics", reason="needs: pip install 'vcm[video]'")
pytest.importorskip("pycocotools", reason="needs: pip install 'vcm[eval]'")
from clips_made import made  # noqa: E402

SPOTS = '''
import cv2
import numpy as np
from vcm.vision.base import sorted_objects

class Spots:
    """Bright spots, the largest first."""
    kind, names = "boxes", ("spot", "car")
    def detect(self, image):
        bright = (image.mean(-1) > 150).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        stats = stats[1:][np.argsort(-stats[1:, 4])][:5].astype(float)
        boxes = np.column_stack([stats[:, :2], stats[:, :2] + stats[:, 2:4]])
        return sorted_objects(boxes, np.linspace(0.9, 0.6, len(boxes)), np.zeros(len(boxes), int))
'''
CODECS = "vcm:at=5/90,x264+roi:gop=low:at=25/45:preset=ultrafast,x264:at=25/45"


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of a street, and the detector.

    144 rows: of 108 rows x264 makes a few bytes more now and then, of the same frames.
    """
    folder = tmp_path_factory.mktemp("clip")
    made(folder / "clip.mp4", shared / "data" / "video" / "road.mp4", 10, "-an", width=256)
    (folder / "spots.py").write_text(SPOTS)
    return folder


def evaluated(folder: Path, weights: Path, *more: str) -> Result:
    line = ["eval", "--text", "car", "--model", f"{folder}/spots.py:Spots", "--weights"]
    line += [str(weights), "--data", str(folder / "clip.mp4"), *more]
    return CliRunner().invoke(cli, line, catch_exceptions=False)


@pytest.fixture(scope="module")
def done(folder: Path, tiny_weights: Path) -> Result:
    more = ["--frames", "4:10", "--every", "3", "--on-empty", "background", "--codecs", CODECS]
    return evaluated(folder, tiny_weights, *more, "-o", str(folder / "out"))


@pytest.mark.slow
def test_a_clip_is_measured_frame_by_frame(folder: Path, done: Result) -> None:
    assert done.exit_code == 0, done.output
    report = json.loads((folder / "out" / "results.json").read_text())
    assert report["data"] == {"name": "clip.mp4", "pictures": 6, "pixels": 6 * 256 * 144}
    assert report["metric"] == "agreement AP" and report["failed"] == {}
    for metric in ("AP", "MOTA", "IDF1"):
        assert report["uncompressed"][f"agreement {metric}"]["value"] == pytest.approx(100)
        assert f"agreement {metric}" in report["bd"]
    assert [c["text"] for c in report["codecs"]] == CODECS.split(",")
    for codec in report["codecs"]:
        low, high = codec["points"]
        assert low["bits"] < high["bits"]
        assert low["kbps"] == pytest.approx(low["bits"] / 6 * 25 / 1000)
        assert low["scores"]["PSNR"]["value"] < high["scores"]["PSNR"]["value"]
    best = report["codecs"][2]["points"][1]["scores"]  # x264, finely
    assert best["agreement MOTA"]["value"] > 0 and best["agreement IDF1"]["value"] > 50
    assert best["agreement MOTA"]["low"] is None
    assert any("a bit per pixel is 922 kilobits a second" in note for note in report["notes"])
    assert "kilobits a second" in (folder / "out" / "index.html").read_text()
    rows = (folder / "out" / "pictures.csv").read_text().splitlines()
    assert len(rows) == 1 + 6 * 3 * 2 and rows[1].startswith("000004,")


@pytest.mark.slow
def test_what_was_measured_is_not_measured_again(
    folder: Path, done: Result, tiny_weights: Path
) -> None:
    kept = {p: p.stat().st_mtime_ns for p in (folder / "out" / "frames").iterdir()}
    assert len(kept) == 6
    broken = sorted(kept)[::2]
    for path in broken:
        path.write_bytes(path.read_bytes()[:-9])
    more = ["--frames", "4:10", "--every", "3", "--on-empty", "background", "--codecs", CODECS]
    before = json.loads((folder / "out" / "results.json").read_text())
    again = evaluated(folder, tiny_weights, *more, "-o", str(folder / "out"))
    assert again.exit_code == 0, again.output
    now = {p: p.stat().st_mtime_ns for p in (folder / "out" / "frames").iterdir()}
    assert sorted(p for p in kept if now[p] != kept[p]) == broken and now.keys() == kept.keys()
    after = json.loads((folder / "out" / "results.json").read_text())
    for a, b in zip(after["codecs"], before["codecs"], strict=True):
        assert a == b
    assert after["bd"] == before["bd"]


def test_resamples_leave_seconds_out_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    seen = Footage(tmp_path / "a.mp4", video.Span(), 5, 12.5)
    plan = Plan(find_task("coco-person"), "embedded", data_of(seen.path), ("vcm",), footage=seen)
    weights = resampled(plan, 12 * 8 + 1)  # a frame of the ninth second
    assert weights.shape == (1001, 97) and (weights[0] == 1).all()
    by_second = weights[:, :96].reshape(1001, 8, 12)
    assert (by_second == by_second[..., :1]).all()
    assert set(weights.sum(1).tolist()) >= {48.0, 49.0}
    assert resampled(plan, 12 * 7).shape == (1, 84)


@pytest.mark.parametrize("text", ["vcm:sigma=1:at=20", "x264+roi:gop=intra:at=30", "x264"])
def test_bytes_of_frames_are_those_of_the_file(
    text: str, folder: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    codec = build(text, Defaults(0.3, str(tiny_weights), "cpu"))
    clip = video.open(folder / "clip.mp4", video.Span(4, 10))

    def masked():
        for frame in clip:
            yield Masked(frame, RoiMask(np.eye(144, 256, 20, bool), 0.3, "a line"))

    path = tmp_path / f"a{codec.suffix}"
    found = codec.write(masked(), clip, codec.settings[0], path)
    assert len(found) == 6 and min(found) > 10
    if codec.suffix == ".vcms":
        assert sum(found) == path.stat().st_size
    else:
        assert found == sizes(path) and 0 < path.stat().st_size - sum(found) < 2500
    assert [f.image.shape for f in codec.read(path)] == [(144, 256, 3)] * 6


def test_every_codec_of_clips_has_a_name_and_settings_of_its_own(tiny_weights: Path) -> None:
    defaults = Defaults(0.3, str(tiny_weights), "cpu")
    gops = ["", ":gop=low", ":gop=intra"]
    texts = [n + gop for n in names() for gop in gops if not (n[:5] == "vvenc" and "low" in gop)]
    built = [build(text, defaults) for text in [OURS, "vcm:sigma=1", *texts]]
    assert len({codec.name for codec in built}) == len({codec.key for codec in built}) == len(built)
    assert all(len(set(codec.settings)) == 5 for codec in built)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jpeg", "for clips expected vcm, x264, x264"),
        ("x265+flat", "for clips expected vcm"),
        ("x265:sigma=1", "option 'sigma'; expected gop, preset, at"),
        ("x265:gop=long", "expected gop to be random or low or intra"),
        ("vvenc:gop=low", "has no low delay"),
        ("x264:preset=8", "preset: expected one of"),
        ("x264:at=99", "crf: expected 0 to 51"),
        ("vcm:at=much", "at cannot be 'much'"),
        ("vcm:effort=9", "option 'effort'"),
    ],
)
def test_codecs_that_are_none(text: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        check(text) if text != "vcm:at=much" else build(text, Defaults(0.3, "base", "cpu"))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--codecs", "vcm,jpeg"], "for clips expected vcm"),
        (["--codecs", "vcm,vcm"], "expected different codecs"),
        (["--roi", "truth"], "no true masks"),
        (["--photos", "3"], "--photos is for photos alone"),
        (["--workers", "3"], "--workers is for photos alone"),
        (["--exif", "ignore"], "are for photos alone"),
        (["--frames", "9:4"], "--frames: expected FIRST:LAST"),
        (["--reference", "avif"], "reference avif"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    folder: Path, tiny_weights: Path, tmp_path: Path, more: list[str], told: str
) -> None:
    failed = evaluated(folder, tiny_weights, *more, "-o", str(tmp_path / "out"))
    assert failed.exit_code == 2 and told in failed.stderr, failed.output
    assert not (tmp_path / "out" / "frames").exists()


def test_frames_are_those_of_a_clip(folder: Path, tmp_path: Path) -> None:
    line = ["eval", "--text", "car", "--data", str(folder), "--frames", "1:2", "--model",
            "embedded", "-o", str(tmp_path / "out")]  # fmt: skip
    failed = CliRunner().invoke(cli, line)
    assert failed.exit_code == 2 and "--frames is for clips alone" in failed.stderr
