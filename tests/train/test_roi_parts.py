"""Parts of the words' training by hand: what is drawn, the loss, the score and its card."""

import json
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from vcm import image
from vcm.errors import SpecError
from vcm.ort import Session
from vcm.roi.embedded import DEFAULT
from vcm.roi.vocabulary import vocabulary
from vcm.train import roi_importance, roi_score
from vcm.train import roi_labels as labels
from vcm.train.roi import RoiTraining, _Run
from vcm.train.roi_data import ROOMS, WordBatch, batch, by_class
from vcm.train.roi_graph import graph
from vcm.train.roi_importance import learn, measure
from vcm.train.roi_labels import label
from vcm.train.roi_loss import segmentation_loss
from vcm.train.roi_photos import APART, DRAWN, WEIGHTS, LabelledPhoto, gather, kept_apart
from vcm.train.roi_score import TAUS, Score, card, score, truth
from vcm.train.roi_teacher import planes as seen_planes
from vcm.train.roi_teacher import teach, write
from vcm.train.roi_weights import load

CLASSES = len(vocabulary().classes)
COCO = len(vocabulary().coco)
PLUGIN = """
import torch
from torch import nn

class {name}:
    kind, names = "boxes", ("cat",)

    def __init__(self):
        torch.manual_seed(0)
        self.net = nn.Conv2d(3, 4, 4, stride=8).requires_grad_(False)

    def features(self, x):
        return [self.net(x * (x > 0.5))]  # looks at what is bright alone
"""


def photo(folder, name, value, weight=1.0, pixels=None, p=255):
    """A photo that shows one class everywhere."""
    pixels = np.full((32, 32, 3), 99, np.uint8) if pixels is None else pixels
    image.write(folder / f"{name}.png", pixels)
    height, width = pixels.shape[:2]
    shown = np.zeros(((height + 1) // 2, (width + 1) // 2, 4), np.uint8)
    shown[..., 0], shown[..., 1] = value, p
    write(folder / f"{name}-labels.png", shown)
    found = LabelledPhoto(
        folder / f"{name}.png", folder / f"{name}-labels.png", False, False, {value: 1.0}
    )
    return found._replace(weight=weight)


def shares(photos, classes, of=slice(None), count=400):
    """How often each photo is drawn; each shows a class of its own."""
    drawn = batch(photos, classes, count, 32, np.random.default_rng(1)).planes[:, 0].flatten(1)
    first = torch.where(drawn == 255, 0, drawn).amax(1)[of]
    return [float((first == next(iter(p.classes))).float().mean()) for p in photos]


def test_photos_are_drawn_by_their_weights(tmp_path):
    photos = [photo(tmp_path, f"{i}", i + 1, weight) for i, weight in enumerate((0.0, 1.0, 3.0))]
    assert shares(photos, {}) == pytest.approx([0, 0.25, 0.75], abs=0.06)
    assert shares(photos, {})[0] == 0  # never, not seldom
    classes = by_class(photos[1:])
    evenly = shares(photos[1:], classes, slice(1, None, 2))
    assert evenly == pytest.approx([0.25, 0.75], abs=0.08)
    by_turns = shares(photos[1:], classes, slice(0, None, 2))
    assert by_turns == pytest.approx([0.5, 0.5], abs=0.09)  # each class as often


def test_of_photos_of_one_class_the_weightier_is_drawn_more_often(tmp_path):
    photos = [photo(tmp_path, f"{i}", 1, weight, p=200 + i) for i, weight in enumerate((1.0, 4.0))]
    seen = batch(photos, {1: [0, 1]}, 400, 32, np.random.default_rng(2)).planes[::2, 1]
    which = seen.flatten(1).amax(1)
    assert float((which == 201).float().mean()) == pytest.approx(0.8, abs=0.08)


def test_things_of_rooms_are_in_focus_less_often(tmp_path):
    photos = [photo(tmp_path, "dog", label("dog")), photo(tmp_path, "floor", label("floor"))]
    assert label("dog") <= COCO < label("floor")
    found = shares(photos, by_class(photos), slice(0, None, 2), 600)
    assert found[1] == pytest.approx(ROOMS / (1 + ROOMS), abs=0.06)


def test_photos_know_their_weight_and_whether_rooms_may_be_in_them(tmp_path, photos):
    for name in ("photos", "voc", "more/images", "run/teacher"):
        (tmp_path / name).mkdir(parents=True)
    sources = {
        "sofa.png": ("MiguelARD/x", "rooms/1.jpg"), "road.png": ("alexgkendall/y", "CamVid/1.png"),
        "ball.png": ("bhuminChodvadiya/Sports-Type", "1.png"), "any.png": ("a/b", "1.png"),
    }  # fmt: skip
    folders = {"cat.png": "photos", "dog.png": "photos"} | dict.fromkeys(sources, "more/images")
    for name, folder in folders.items():
        image.write(tmp_path / folder / name, photos["cat"])
        write(tmp_path / "run" / "teacher" / name, np.zeros((150, 226, 4), np.uint8))
    cv2.imwrite(str(tmp_path / "voc" / "cat.png"), np.zeros((300, 451), np.uint8))
    told = {n: {"repository": r, "path": p, "hint": ""} for n, (r, p) in sources.items()}
    (tmp_path / "more" / "sources.json").write_text(json.dumps({"photos": told}))
    nothing = {"images": [], "annotations": [], "categories": []}
    (tmp_path / "more" / "boxes.json").write_text(json.dumps(nothing))
    found = gather(tmp_path / "photos", tmp_path / "voc", tmp_path / "more", tmp_path / "run")
    assert {p.path.name: (p.rooms, p.weight) for p in found} == {
        "cat.png": (True, DRAWN), "dog.png": (False, 1.0),
        "sofa.png": (True, WEIGHTS["MiguelARD"]), "road.png": (False, WEIGHTS["alexgkendall"]),
        "ball.png": (False, WEIGHTS["bhuminChodvadiya"]), "any.png": (True, 1.0),
    }  # fmt: skip


def test_a_broken_photo_is_left_out_by_its_name(photos, tmp_path, caplog):
    for name in ("photos", "run/teacher"):
        (tmp_path / name).mkdir(parents=True)
    image.write(tmp_path / "photos" / "cat.png", photos["cat"])
    write(tmp_path / "run" / "teacher" / "cat.png", np.zeros((150, 226, 4), np.uint8))
    (tmp_path / "photos" / "junk.jpg").write_bytes(b"junk")
    (found,) = gather(tmp_path / "photos", tmp_path / "voc", None, tmp_path / "run")
    assert found.path.name == "cat.png"
    assert "left out" in caplog.text and "junk.jpg' is not a picture" in caplog.text


def test_photos_that_would_share_their_labels_are_refused(tmp_path):
    both = [tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.png"]
    with pytest.raises(SpecError, match="1.jpg and .*1.png would share their labels"):
        list(teach(both, "none.pt", tmp_path / "teacher"))


def test_no_frame_of_a_video_is_kept_apart(tmp_path):
    names = [f"{kind}_{i}.png" for kind in ("CamVid", "still") for i in range(400)]
    chosen = {n for n in names if zlib.crc32(n.encode()) % APART == 0}
    assert any("CamVid" in name for name in chosen)
    apart = kept_apart([LabelledPhoto(tmp_path / n, tmp_path / n, False, False, {}) for n in names])
    assert {path.name for path in apart} == {name for name in chosen if "still" in name}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_nested_boxes_the_small_one_names_what_is_in_both(turn):
    teacher = np.zeros((8, 8, 4), np.uint8)
    teacher[..., 0], teacher[..., 1] = label("car"), 200
    boxes = [("bus", (0, 0, 15, 15)), ("truck", (4, 4, 5, 5))][::turn]
    found = labels.with_boxes(teacher, boxes)[..., 0]
    inside = np.zeros((8, 8), bool)
    inside[2:5, 2:5] = True
    assert (found[inside] == label("truck")).all() and (found[~inside] == label("bus")).all()


def loss_of(logits, pixels):
    """The loss of pixels in a row, each with its two classes."""
    data = torch.tensor(pixels).T[None, :, None]  # (1, 4, 1, W)
    x = torch.zeros(1, 3, 4, 4 * len(pixels))
    return segmentation_loss(logits, WordBatch(x, data, torch.tensor([False]))).item()


def test_the_second_class_of_a_pixel_counts_in_the_loss():
    logits = torch.zeros(1, CLASSES + 1, 1, 1)
    logits[0, 1:3, 0, 0] = torch.tensor([1.0, 3.0])
    log = logits.log_softmax(1)[0, :, 0, 0].tolist()
    found = np.exp(log[1])
    a, b = 102 / 255, 102 / 255
    cross = -(a * log[1] + b * log[2] + (1 - a - b) * log[0])
    assert loss_of(logits, [[1, 102, 2, 102]]) == pytest.approx(cross + 0.5 * (1 - found), rel=1e-5)
    # a class that is the first of one pixel and the second of another is in both
    logits = logits.expand(-1, -1, -1, 2).clone()
    logits[0, 1, 0, 1] = 2.0
    p = logits.softmax(1)[0, :, 0]
    log = p.log()
    cross = -(log[1, 0] + 0.6 * log[2, 1] + 0.4 * log[1, 1]) / 2
    first = p[1].sum() / 2  # there on both pixels
    second = p[2, 1] / (1 + p[2, 0])
    expected = cross + 0.5 * (1 - (first + second) / 2)
    assert loss_of(logits, [[1, 255, 0, 0], [2, 153, 1, 102]]) == pytest.approx(
        expected.item(), rel=1e-5
    )


@pytest.mark.parametrize(("p", "counts"), [(30, True), (64, False), (102, True)])
def test_a_doubtful_region_is_no_part_of_the_soft_iou(p, counts):
    """The first pixel is a class; the second is it by so much of 255."""

    def soft(second):
        logits = torch.zeros(1, CLASSES + 1, 1, 2)
        logits[0, 1, 0] = torch.tensor([9.0, second])
        log = logits.log_softmax(1)[0, :, 0, 1].tolist()
        cross = -(p / 255 * log[1] + (1 - p / 255) * log[0])
        return loss_of(logits, [[1, 255, 0, 0], [1, p, 0, 0]]) - cross / 2

    assert (abs(soft(9.0) - soft(0.0)) > 0.05) == counts


def test_where_no_class_is_there_the_soft_iou_is_nothing():
    logits = torch.zeros(1, CLASSES + 1, 1, 2)
    nothing = [[0, 0, 0, 0], [255, 0, 0, 0]]
    assert loss_of(logits, nothing) == pytest.approx(np.log(CLASSES + 1))
    faint = [[1, 60, 0, 0], [255, 0, 0, 0]]  # below what counts as there
    assert loss_of(logits, faint) == pytest.approx(np.log(CLASSES + 1))


def test_a_missed_pixel_counts_twice_when_tau_is_chosen(monkeypatch):
    """Plain IoU: 0.73 at the lowest tau and 0.75 at the next, which misses a quarter."""
    counts = np.zeros((len(TAUS), CLASSES, 4), np.int64)
    counts[:, 0, 2:] = 80, 1000  # true, known
    counts[0, 0, :2], counts[1, 0, :2] = (80, 110), (60, 60)  # both, found
    counts[:, 1, 3] = 1000  # a class that is not there
    counts[1, 1, 1] = 5
    monkeypatch.setattr(roi_score, "_counts", lambda run, counted, looks: counts)
    result = score(None, [None])
    assert result.tau == TAUS[0] and result.iou[0] == pytest.approx(80 / 110)
    assert result.recall[0] == 1 and np.isnan(result.iou[1:]).all() and result.empty == 1
    counts[0, 0, :2] = 80, 160  # twice as much as there is: now too much
    result = score(None, [None])
    assert result.tau == TAUS[1] and result.recall[0] == pytest.approx(0.75)
    assert result.iou[0] == pytest.approx(60 / 80)
    assert result.empty == pytest.approx(1 - 1 / (CLASSES - 1))


def test_what_is_true_and_known_of_a_class():
    pixels = [[1, 255, 0, 0], [2, 90, 1, 90], [2, 150, 1, 60], [2, 200, 1, 30], [255, 0, 0, 0]]
    there, known = truth(np.array([pixels], np.uint8), 1)
    assert there.tolist() == [[True, True, False, False, False]]
    assert known.tolist() == [[True, True, False, True, False]]  # the third is doubtful


def test_the_card_by_hand():
    nan = np.full(CLASSES, np.nan)
    iou, recall = nan.copy(), nan.copy()
    iou[:2], recall[0] = (0.12345, 1.0), 0.5
    told = card(Score(0.35, iou, recall, np.zeros(CLASSES, np.int64), 0.98765))
    first, second = vocabulary().classes[:2]
    assert told.keys() == {"tau", "recall", "iou", "rightly_empty"}
    assert (told["tau"], told["rightly_empty"]) == ("0.35", "98.8")
    assert json.loads(told["iou"]) == {first: 0.123, second: 1.0}
    assert json.loads(told["recall"]) == {first: 0.5}


@pytest.mark.slow
def test_steps_lower_the_loss(tmp_path):
    """What the released network has never seen: noise that is all dog."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    config = RoiTraining(
        initial=str(DEFAULT), folder=tmp_path / "run", steps=1000, batch=2, crop=32, lr=0.1
    )
    run = _Run(config, [photo(tmp_path, "noise", label("dog"), pixels=noise)])
    before = {name: value.clone() for name, value in run.net.named_parameters()}
    losses = [run.advance() for _ in range(5)]
    assert run.step == 5 and losses[-1] < 0.7 * losses[0]
    changed = {n.split(".")[0] for n, v in run.net.named_parameters() if not v.equal(before[n])}
    assert "out" in changed and changed.isdisjoint({"backbone", "conv_head", "classifier"})


@pytest.mark.slow
def test_the_graph_says_what_the_network_says():
    pytest.importorskip("onnx", reason="needs: pip install 'vcm[train-roi]'")
    net = load(DEFAULT)[0].eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(net.importance[2].weight)
    x = torch.rand(1, 3, 64, 128)
    tensors = {name: t.contiguous() for name, t in net.state_dict().items()}
    weights = {k: (t.float() if t.is_floating_point() else t).numpy() for k, t in tensors.items()}
    session = Session(graph(net).numpy().tobytes(), "graph", threads=1, weights=weights)
    seen = session.run({"x": x.numpy()}, ["probabilities", "importance"])
    with torch.inference_mode():
        pixels = net.pixels(x)
        own = net.logits(pixels).softmax(1), pixels.importance
    assert seen[1].shape == (1, 1, 4, 8) and own[1].std() > 0.1
    for found, expected in zip(seen, own, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-3)


class Bright:
    """A segmenter that takes for its fourth class what is bright, by nine tenths."""

    names = dict(enumerate("abcde"))

    def __init__(self):
        self.seen = []

    def predict(self, picture, imgsz, **_):
        self.seen.append((imgsz, picture))
        mask = torch.from_numpy((picture.max(2) > 128)[None].copy()).float()
        boxes = SimpleNamespace(cls=torch.tensor([3.0]), conf=torch.tensor([0.9]))
        return [SimpleNamespace(masks=SimpleNamespace(data=mask), boxes=boxes)]


def test_a_teacher_looks_at_the_mirrored_photo_too_and_turns_what_it_saw_back():
    picture, model = np.zeros((40, 60, 3), np.uint8), Bright()
    picture[:20, :20] = 0, 100, 200  # on the left
    found = seen_planes(model, picture)
    (first, plain), (second, mirrored) = model.seen
    assert (first, second) == (640, 448)
    assert np.array_equal(plain, picture[..., ::-1])  # as OpenCV has colours
    assert np.array_equal(mirrored, plain[:, ::-1])
    expected = np.zeros((5, 20, 30), np.float32)
    expected[3, :10, :10] = 0.9
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_importance_is_measured_once_and_learnt(tmp_path, monkeypatch):
    for name in ("One", "Two"):
        (tmp_path / f"{name}.py").write_text(PLUGIN.format(name=name))
    teachers = [f"{tmp_path / name}.py:{name}" for name in ("One", "Two")]
    half = np.zeros((64, 128, 3), np.uint8)
    half[:, :64] = np.random.default_rng(0).integers(140, 256, (64, 64, 3))
    names = [n for n in map("p{}".format, range(999)) if zlib.crc32(f"{n}.png".encode()) % 20 == 3]
    some = [photo(tmp_path, n, 1, pixels=half[:, ::turn].copy())
            for n, turn in zip(names, (1, -1, 1, -1), strict=False)]  # fmt: skip
    kept = tmp_path / "kept"
    ((_, maps),) = measure(some[:1], teachers, kept)
    assert maps.shape[0] == 2 and maps.mean((1, 2)) == pytest.approx([0, 0], abs=0.02)
    middle = maps.shape[2] // 2
    assert (maps[:, :, : middle - 1].mean((1, 2)) > maps[:, :, middle + 1 :].mean((1, 2)) + 3).all()
    times = [p.stat().st_mtime_ns for p in kept.iterdir()]
    ((_, again),) = measure(some[:1], ["no-such-teacher.pt"], kept)  # is not even loaded
    assert np.array_equal(again, maps)
    assert [p.stat().st_mtime_ns for p in kept.iterdir()] == times
    net = load(DEFAULT)[0].eval()
    with torch.no_grad():
        net.importance[2].weight.neg_()  # the head says the opposite of what it learnt
    monkeypatch.setattr(roi_importance.fit, "__defaults__", (40, 0))
    assert learn(net, some[:2], some[2:3], teachers, kept) > 0.3
    assert len(list(kept.iterdir())) == 3
