"""The networks for words on a GPU find what they find on the processor; see `tests/gpu.sh`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vcm.roi import load_backend
from vcm.roi.segmenter import SegmenterBackend

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("clipseg", "clipseg"), ("grounding", "owl"), ("grounding", "dino")],
)
def test_networks_of_transformers(
    name: str, folder: str, cat: NDArray[np.uint8], request: pytest.FixtureRequest
) -> None:
    weights = str(request.getfixturevalue(f"{folder}_folder"))
    maps = []
    for device in ("cpu", "cuda"):
        backend = load_backend(name, weights=weights, device=device)
        maps.append(np.stack(list(backend.similarity(cat, ["a cat", "a dog"]))))
    assert maps[1] == pytest.approx(maps[0], abs=0.02)


def test_the_segmenter(yolo_seg: Path, cat: NDArray[np.uint8]) -> None:
    here, there = (
        next(iter(SegmenterBackend(str(yolo_seg), device).similarity(cat, ["cat"])))
        for device in ("cpu", "cuda")
    )
    assert here.max() == pytest.approx(there.max(), abs=0.02)
    assert ((here > 0.3) == (there > 0.3)).mean() > 0.99
