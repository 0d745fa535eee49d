"""The PicoDet adapter: its decoding by hand, and on real photos with the real network."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vcm import image
from vcm.dataset import DataSet, coco, load, thinned
from vcm.errors import ModelError
from vcm.metrics.detection import matches
from vcm.vision.base import Objects
from vcm.vision.onnx import PicoDet, _boxes, _chosen, _points

pytest.importorskip("onnxruntime", reason="needs: pip install 'vcm[onnx]'")
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def picodet(shared: Path) -> PicoDet:
    return PicoDet(str(shared / "weights" / "picodet_s_416_coco.onnx"))


@pytest.fixture(scope="module")
def data(shared: Path) -> DataSet:
    return thinned(load(shared / "data" / "coco213"), 24)


@pytest.fixture(scope="module")
def pictures(data: DataSet) -> dict[int, Picture]:
    return {photo.id: image.read(photo.path) for photo in data.photos}


@pytest.fixture(scope="module")
def seen(picodet: PicoDet, pictures: dict[int, Picture]) -> dict[int, Objects]:
    return {i: picodet.detect(picture) for i, picture in pictures.items()}


@pytest.fixture(scope="module")
def truth(data: DataSet) -> Any:
    assert data.annotations is not None
    return coco(data.annotations)


def ap(truth: Any, found: dict[int, Objects], names: tuple[str, ...]) -> float:
    result = matches(truth, list(found), found, names)
    return float(result.scores(np.ones((1, len(found))))["AP"][0])


def overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    """IoU of two boxes, x1, y1, x2, y2."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inner = np.prod((high - low).clip(0))
    return float(inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner))


def test_what_is_there_is_found(
    picodet: PicoDet, truth: Any, pictures: dict[int, Picture], seen: dict[int, Objects]
) -> None:
    sure: list[float] = []  # of each thing that is there, how sure the model is of it
    right: list[bool] = []
    for i, picture in pictures.items():
        found = seen[i]
        assert 100 < len(found.boxes) <= 300 and found.scores.min() >= 0.001
        assert (np.diff(found.scores) <= 0).all()
        height, width = picture.shape[:2]
        assert found.boxes.min() >= 0 and (found.boxes <= [width, height] * 2).all()
        things = there(truth, i)
        sure += confidences(found, things, picodet.names)
        best, name = found.boxes[0], picodet.names[int(found.labels[0])]
        if found.scores[0] > 0.6:
            right.append(any(n == name and overlap(best, box) > 0.5 for box, n in things))
    assert len(right) > 10 and np.mean(right) > 0.85
    assert len(sure) > 100 and np.mean(sure) > 0.25


def test_the_picture_is_prepared_as_where_it_is_deployed(
    picodet: PicoDet, data: DataSet, seen: dict[int, Objects]
) -> None:
    photo = data.photos[3]
    bgr = cv2.imread(str(photo.path))
    small = cv2.resize(bgr, (416, 416), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    x = (small - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
    outputs = picodet._net.run({"image": x.transpose(2, 0, 1)[None].astype(np.float32)})
    best = float(max(scores.max() for scores in outputs[:4]))
    assert seen[photo.id].scores[0] == pytest.approx(best, abs=0.01)  # another JPEG decoder
    swapped = picodet.detect(np.ascontiguousarray(image.read(photo.path)[..., ::-1]))
    assert abs(float(swapped.scores[0]) - best) > 0.01


def there(truth: Any, photo: int) -> list[tuple[NDArray[Any], str]]:
    """Boxes, x1, y1, x2, y2, and names of what people marked."""
    names = {c["id"]: c["name"] for c in truth.loadCats(truth.getCatIds())}
    entries = truth.loadAnns(truth.getAnnIds(imgIds=[photo], iscrowd=False))
    boxes = [np.array(e["bbox"]) for e in entries]
    return [
        (np.concatenate([b[:2], b[:2] + b[2:]]), names[e["category_id"]])
        for b, e in zip(boxes, entries, strict=True)
    ]


def confidences(
    found: Objects, things: list[tuple[NDArray[Any], str]], names: tuple[str, ...]
) -> list[float]:
    """Of each thing: the score of the best box of its name over it, 0 if there is none."""
    rows = list(zip(found.boxes, found.scores.tolist(), found.labels.tolist(), strict=True))
    return [
        max((s for b, s, n in rows if names[n] == name and overlap(b, box) > 0.5), default=0.0)
        for box, name in things
    ]


def test_subtle_faults_cost_accuracy(
    picodet: PicoDet, truth: Any, seen: dict[int, Objects]
) -> None:
    good = ap(truth, seen, picodet.names)
    assert good > 30
    moved = {i: o._replace(boxes=o.boxes + np.float32(2)) for i, o in seen.items()}
    assert ap(truth, moved, picodet.names) < good - 0.2
    shifted = {i: o._replace(labels=(o.labels + 1) % 80) for i, o in seen.items()}
    assert ap(truth, shifted, picodet.names) < 5


def test_boxes_are_in_pixels_of_the_picture(picodet: PicoDet, pictures: dict[int, Picture]) -> None:
    picture = next(iter(pictures.values()))
    height, width = picture.shape[:2]
    wide = cv2.resize(picture, (2 * width, height), interpolation=cv2.INTER_CUBIC)
    usual, stretched = (picodet.detect(p).above(0.5) for p in (picture, wide))
    assert len(usual.boxes) == len(stretched.boxes) > 0
    assert stretched.boxes == pytest.approx(usual.boxes * [2, 1, 2, 1], abs=0.02 * width)


def test_a_box_is_as_far_from_its_place_as_its_bins_say() -> None:
    points = _points(416, 416)
    assert len(points) == 52**2 + 26**2 + 13**2 + 7**2
    assert points[[0, 1, 52, 52**2, -1]].tolist() == [
        [4, 4, 8], [12, 4, 8], [4, 12, 8], [8, 8, 16], [416, 416, 64],
    ]  # fmt: skip
    edges = np.full((len(points), 4, 8), -50, np.float32)
    for edge, strides in enumerate((1, 2, 3, 7)):  # left, top, right, bottom
        edges[:, edge, strides] = 50
    edges[1, 0] = 0  # all bins alike: 3.5 strides
    boxes = _boxes(edges.reshape(-1, 32), points)
    assert boxes[0] == pytest.approx([4 - 8, 4 - 16, 4 + 24, 4 + 56])
    assert boxes[1] == pytest.approx([12 - 28, 4 - 16, 12 + 24, 4 + 56])
    assert boxes[-1] == pytest.approx([416 - 64, 416 - 128, 416 + 192, 416 + 448])


def test_doubles_of_a_class_go_and_other_classes_stay() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 5]], np.float32)
    scores = np.zeros((3, 80), np.float32)
    scores[0, 7], scores[1, 7], scores[1, 8], scores[2, 7] = 0.9, 0.8, 0.7, 0.6
    found = _chosen(boxes, scores)  # the first two overlap by 0.9, the third by 0.5
    assert found.labels.tolist() == [7, 7] and found.boxes.tolist() == boxes[[0, 2]].tolist()
    assert found.scores == pytest.approx([0.9, 0.6])
    scores[1, 8] = 0.85
    assert _chosen(boxes, scores).labels.tolist() == [7, 8, 7]


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer: a number below 128, or bytes no longer than that."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def identity(*shape: int) -> bytes:
    """An ONNX file whose output is its input: float32 of that shape."""
    dimensions = b"".join(field(1, field(1, n)) for n in shape)
    tensor = field(1, field(1, 1) + field(2, dimensions))
    x, y = (field(1, name) + field(2, tensor) for name in (b"x", b"y"))
    node = field(1, b"x") + field(2, b"y") + field(4, b"Identity")
    graph = field(1, node) + field(2, b"g") + field(11, x) + field(12, y)
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    (tmp_path / "flat.onnx").write_bytes(identity(1, 3))
    (tmp_path / "grey.onnx").write_bytes(identity(1, 1, 64, 64))
    (tmp_path / "other.onnx").write_bytes(identity(1, 3, 64, 64))
    cases = [
        ("none", "not a network that can be run"),
        ("junk", "not a network that can be run"),
        ("flat", r"expected one input \(1, 3, height, width\), got \[\(1, 3\)\]"),
        ("grey", r"expected one input .*, got \[\(1, 1, 64, 64\)\]"),
        ("other", r"expected PicoDet's outputs \[\(1, 64, 80\), .*, got \[\(1, 3, 64, 64\)\]"),
    ]
    for name, message in cases:
        with pytest.raises(ModelError, match=message) as caught:
            PicoDet(str(tmp_path / f"{name}.onnx"))
        assert "\n" not in str(caught.value)
