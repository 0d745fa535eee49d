"""Detectors of transformers as words-to-mask backends, beside the library's own post-processing."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vcm.errors import ModelError
from vcm.roi import load_backend
from vcm.roi.grounding import LEAST, Grounding

SIZES = [(60, 200), (200, 60), (100, 100)]


def painted(scores: list[float], boxes: list[list[float]], size: tuple[int, int]) -> NDArray:
    """The best score of the boxes (x1, y1, x2, y2) over each pixel."""
    result = np.zeros(size, np.float32)
    for score, box in sorted(zip(scores, boxes, strict=True)):
        x1, y1, x2, y2 = (max(0, round(v)) for v in box)
        if score >= LEAST:
            result[y1:y2, x1:x2] = score
    return result


def differs(a: NDArray, b: NDArray) -> float:
    """Share of the pixels, but for a line of rounding around each box."""
    return float((np.abs(a - b) > 1e-5).mean())


@pytest.mark.parametrize("size", SIZES)
def test_owl_boxes_are_where_the_library_has_them(
    owl_folder: Path, size: tuple[int, int], rng: np.random.Generator
) -> None:
    from PIL import Image

    backend = Grounding(str(owl_folder))
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    output = backend._run(Image.fromarray(image), [["cat"]])
    (found,) = backend._processor.post_process_grounded_object_detection(
        output, threshold=0.0, target_sizes=[size]
    )
    expected = painted(found["scores"].tolist(), found["boxes"].tolist(), size)
    assert expected.any()
    assert differs(next(backend.similarity(image, ["cat"])), expected) < 0.1


@pytest.mark.parametrize("size", SIZES)
def test_dino_boxes_are_where_the_library_has_them(
    dino_folder: Path, size: tuple[int, int], rng: np.random.Generator
) -> None:
    from PIL import Image

    backend = Grounding(str(dino_folder))
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    output = backend._run(Image.fromarray(image), "cat.")
    (found,) = backend._processor.post_process_grounded_object_detection(
        output, threshold=0.0, text_threshold=0.0, target_sizes=[size]
    )
    expected = painted(found["scores"].tolist(), found["boxes"].tolist(), size)
    assert expected.any()
    assert differs(next(backend.similarity(image, ["cat"])), expected) < 0.1


def test_dino_sees_phrases_apart(dino_folder: Path, cat: NDArray[np.uint8]) -> None:
    backend = load_backend("grounding", weights=str(dino_folder))
    assert 0 < backend.tau < 1
    alone = list(backend.similarity(cat, ["cat"]))
    among = list(backend.similarity(cat, ["A dog. And a house", "cat", "犬", "x " * 500]))
    assert [plane.shape for plane in among] == 4 * [cat.shape[:2]]
    np.testing.assert_array_equal(alone[0], among[1])


def test_another_kind_of_model_is_named(clipseg_folder: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded|expected one of"):
        load_backend("grounding", weights=str(clipseg_folder))
