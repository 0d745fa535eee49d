"""What every words-to-mask backend keeps to, and what is special to two of them."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vcm import image
from vcm.errors import MissingExtra, ModelError, SpecError, UnknownWord
from vcm.roi import BACKENDS, backend_for, chosen_backend, load_backend
from vcm.roi.acquire import acquire
from vcm.roi.base import Backend, networks
from vcm.roi.text import parse
from vcm.task import TaskSpec


def maps_of(
    backend: Backend, picture: NDArray[np.uint8], phrases: list[str]
) -> NDArray[np.float32]:
    return np.stack(list(backend.similarity(picture, phrases)))


@pytest.fixture(params=[*sorted(BACKENDS), "embedded_closely"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.getfixturevalue(request.param)


def test_name_and_tau(backend: Backend) -> None:
    assert backend.name in BACKENDS
    assert 0 < backend.tau < 1


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (3, 3), (33, 1000), (120, 160)])
def test_one_map_for_each_phrase(backend: Backend, size: tuple[int, int], rng) -> None:
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    maps = maps_of(backend, image, ["cat", "dog", "person"])
    assert maps.shape == (3, *size) and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() <= 1


def test_a_phrase_does_not_depend_on_its_neighbours(
    backend: Backend, cat: NDArray[np.uint8]
) -> None:
    before = cat.copy()
    alone = maps_of(backend, cat, ["cat"])
    among = maps_of(backend, cat, ["a dog", "cat"])
    np.testing.assert_allclose(alone[0], among[1], atol=1e-4)
    assert np.abs(among[0] - among[1]).max() > 1e-4
    np.testing.assert_array_equal(cat, before)


def test_the_same_twice(backend: Backend, cat: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(maps_of(backend, cat, ["cat"]), maps_of(backend, cat, ["cat"]))


def test_words_become_a_mask(backend: Backend, cat: NDArray[np.uint8]) -> None:
    sure = backend.name in ("embedded", "segmenter")  # clipseg and grounding have random weights
    on_empty = "error" if sure else "whole"
    mask = acquire(cat, parse("cat -person"), backend, sigma=0.1, on_empty=on_empty)
    assert mask.roi.shape == cat.shape[:2] and mask.roi.any()
    assert networks(backend, ["cat", "person"])[0] in mask.source


def test_no_such_backend() -> None:
    with pytest.raises(
        SpecError, match="one of embedded, auto, clipseg, grounding, segmenter, got 'sam'"
    ):
        load_backend("sam")


def test_clipseg_knows_any_word(clipseg: Backend, cat: NDArray[np.uint8]) -> None:
    words = ["a brindled grimalkin", "犬", "x " * 500, "🙂"]
    assert np.stack(list(clipseg.similarity(cat, words))).shape == (4, *cat.shape[:2])


def test_clipseg_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    """In a process of its own, because the hub's address is read when its package is imported."""
    command = "from vcm.roi import load_backend; load_backend('clipseg')"
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("vcm.errors.ModelError: CLIPSeg 'CIDAS/clipseg-rd64-refined'")
    assert "give a folder that holds it" in last


def test_clipseg_of_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_backend("clipseg", weights=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_segmenter_finds_the_cat(segmenter: Backend, cat: NDArray[np.uint8]) -> None:
    found = np.stack(list(segmenter.similarity(cat, ["kittens", "bus"])))
    assert found[0, 60:200, 150:300].mean() > 0.5  # the face
    assert not found[1].any()


def test_segmenter_does_not_know_a_word(segmenter: Backend, cat: NDArray[np.uint8]) -> None:
    with pytest.raises(UnknownWord, match="unknown word 'sky'"):
        segmenter.similarity(cat, ["sky"])


def test_segmenter_with_classes_of_its_own(foreign: Path, cat: NDArray[np.uint8]) -> None:
    backend = load_backend("segmenter", weights=str(foreign))
    assert maps_of(backend, cat, ["gears", "cat"]).shape == (2, *cat.shape[:2])
    with pytest.raises(UnknownWord, match="no class 'kitten'; it has: gear, bolt, cat"):
        maps_of(backend, cat, ["kitten"])


def test_segmenter_needs_a_segmenter(shared: Path) -> None:
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    with pytest.raises(ModelError, match="expected a YOLO segmenter, got one for detect"):
        load_backend("segmenter", weights=str(shared / "weights" / "yolo11n.pt"))


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("segmenter", "ultralytics", "yolo"),
        ("clipseg", "transformers", "clipseg"),
        ("grounding", "transformers", "clipseg"),
    ],
)
def test_a_missing_package_names_its_extra(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python does for a package not found
    with pytest.raises(MissingExtra, match=rf"{package} is not installed.*vcm\[{extra}\]"):
        load_backend(name)


def test_a_segmenter_that_is_none_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG")
    with pytest.raises(ModelError, match="not a YOLO checkpoint"):
        load_backend("segmenter", weights=str(path))


def test_loading_yolo_leaves_pillow_as_it_was(foreign: Path) -> None:
    """Its import replaces Image.open, for the whole process, with one that installs packages."""
    code = (
        "from PIL import Image\n"
        "before = Image.open\n"
        "from vcm.roi import load_backend\n"
        f"load_backend('segmenter', weights={str(foreign)!r})\n"
        "assert Image.open is before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_detail_finds_smaller_things(
    embedded: Backend, embedded_closely: Backend, shared: Path
) -> None:
    photos = sorted((shared / "data" / "train" / "images").glob("voc_2007_*.jpg"))[:90]
    masks = shared / "data" / "train" / "voc_class_masks"
    person, hits = 15, np.zeros(2)
    for path in photos:
        true = np.asarray(Image.open(masks / f"{path.stem}.png"))
        if (true == person).mean() < 0.1:
            continue
        small = np.full((480, 640, 3), 127, np.uint8)  # the photo at a fifth, amid nothing
        scaled = cv2.resize(image.read(path), None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
        h, w = scaled.shape[:2]
        small[190 : 190 + h, 270 : 270 + w] = scaled
        where = cv2.resize(true, (w, h), interpolation=cv2.INTER_NEAREST) == person
        for i, backend in enumerate((embedded, embedded_closely)):
            found = maps_of(backend, small, ["person"])[0, 190 : 190 + h, 270 : 270 + w]
            hits[i] += found[where].mean()
    assert hits[0] > 0
    assert hits[1] > 1.2 * hits[0]


def test_the_task_says_how_closely(embedded_closely: Backend, cat: NDArray[np.uint8]) -> None:
    task = TaskSpec("words", 1, "", ("dog",), detail=2)
    maps = maps_of(backend_for(task), cat, ["dog"])
    np.testing.assert_array_equal(maps, maps_of(embedded_closely, cat, ["dog"]))
    for name in ("embedded", "auto"):
        assert (maps_of(chosen_backend(name, None, 2), cat, ["dog"]) == maps).all()
        assert (maps_of(chosen_backend(name, None, 1), cat, ["dog"]) != maps).any()
    with pytest.raises(SpecError, match="detail: expected 1 or 2, got 3"):
        load_backend("embedded", detail=3)
