"""What the guide on own parts promises: a class is short, and is what the protocol wants."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import vcm
from vcm import plugin
from vcm.errors import UnknownWord

GUIDE = Path(__file__).parents[2] / "docs" / "pages" / "guides" / "extend.md"
PARTS = {"faces.py": ("Faces", 15), "few.py": ("Few", 10), "colours.py": ("Colours", 20)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of the guide."""
    folder = tmp_path_factory.mktemp("extend")
    blocks = re.findall(r'^```python title="([^"]+)"\n(.*?)^```$', GUIDE.read_text(), re.M | re.S)
    for name, text in blocks:
        (folder / name).write_text(text)
    return {name: folder / name for name, _ in blocks}


@pytest.mark.parametrize("name", PARTS)
def test_it_is_as_short_as_promised(name: str, files: dict[str, Path]) -> None:
    lines = [line for line in files[name].read_text().splitlines() if line.strip()]
    assert len(lines) <= PARTS[name][1]
    assert max(map(len, lines)) <= 100


def test_the_task_model_finds_the_face(
    files: dict[str, Path], photos: dict[str, NDArray[np.uint8]]
) -> None:
    model = plugin.load(f"{files['faces.py']}:Faces")
    found = model.detect(photos["person"])
    assert model.names == ("face",) and found.scores[0] > 0.9
    x1, y1, x2, y2 = found.boxes[0]
    assert x1 < 160 < x2 and y1 < 110 < y2  # the astronaut's nose
    assert len(model.detect(np.zeros((50, 60, 3), np.uint8)).boxes) == 0


def test_the_anchor_codes(files: dict[str, Path], cat: NDArray[np.uint8]) -> None:
    codec = plugin.load(f"{files['few.py']}:Few")
    sizes = []
    for setting in codec.settings:
        data = codec.encode(cat, setting)
        assert codec.decode(data, *cat.shape[:2]).shape == cat.shape
        sizes.append(len(data))
    assert sizes == sorted(sizes)


def test_the_backend_finds_the_orange_suit(
    files: dict[str, Path], photos: dict[str, NDArray[np.uint8]]
) -> None:
    backend = plugin.load(f"{files['colours.py']}:Colours")
    roi = vcm.acquire(photos["person"], vcm.parse("orangered"), backend, sigma=0.1)
    assert 0.03 < roi.share < 0.6
    assert roi.roi[250, 30:250].any()  # the suit is below, the face is above
    with pytest.raises(UnknownWord, match="'nowhere' is no colour"):
        backend.similarity(photos["person"], ["nowhere"])
