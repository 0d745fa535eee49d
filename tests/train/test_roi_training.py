"""Training of the words-to-mask network: labels, loss and score by hand, and a run that goes on."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vcm import image, toml
from vcm.roi import session
from vcm.roi.acquire import acquire
from vcm.roi.embedded import DEFAULT, Embedded
from vcm.roi.text import parse
from vcm.roi.vocabulary import vocabulary
from vcm.train import roi_labels as labels
from vcm.train.roi import RoiTraining, train_roi
from vcm.train.roi_data import WordBatch, crop
from vcm.train.roi_importance import correlation, fit
from vcm.train.roi_labels import NYU, VOC, label
from vcm.train.roi_loss import segmentation_loss
from vcm.train.roi_photos import APART, LabelledPhoto, gather, hinted, unfit
from vcm.train.roi_score import score
from vcm.train.roi_teacher import packed, write
from vcm.train.roi_weights import load

pytestmark = pytest.mark.slow  # whole trainings

# The name of a photo that is kept apart, by chance: the choice depends on names alone.
ROOM = next(
    n for n in map("room{}".format, range(999)) if not zlib.crc32(f"{n}.jpg".encode()) % APART
)
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def planes(first, p=255, second=0, q=0):
    """Label planes (H/2, W/2, 4) of a table of classes, all with the same probabilities."""
    first = np.array(first, np.uint8)
    parts = [np.broadcast_to(np.array(v, np.uint8), first.shape) for v in (p, second, q)]
    return np.stack([first, *parts], -1) * (first != 0)[..., None].astype(np.uint8)


def whole(labelled):
    """A label map whose every second pixel is this."""
    return np.kron(np.array(labelled, np.uint8), np.ones((2, 2), np.uint8))


def test_the_config_that_comes_along_is_valid():
    assert toml.load(CONFIGS / "roi.toml", RoiTraining).steps > 0


def test_people_decide_about_vocs_classes_and_the_teacher_about_others():
    cat, table = 1 + VOC.index("cat"), 1 + VOC.index("dining table")
    voc = whole([[0, 0, cat], [255, table, table], [0, cat, 0]])
    cup, dog = label("cup"), label("dog")
    teacher = planes([[cup, dog, dog], [cup, cup, 0], [0, cup, 0]])
    expected = [
        [cup, 0, label("cat")],  # VOC saw no dog there
        [255, cup, label("dining table")],  # what stands on a table is not table
        [0, label("cat"), 0],
    ]
    assert labels.with_voc(teacher, voc)[..., 0].tolist() == expected


def test_nyus_names_win_but_for_small_things_that_the_teacher_is_sure_of():
    cabinet, bed = NYU.index("cabinet"), NYU.index("bed")
    oven, dog = label("oven"), label("dog")
    teacher = planes([[oven, dog, label("couch")]], 200)
    teacher[0, 1, 1] = 60  # a dog on the bed, perhaps
    found = labels.with_nyu(teacher, whole([[cabinet, bed, 0]]))
    assert found[..., 0].tolist() == [[oven, label("bed"), 0]]  # NYU names couches: there is none
    assert found[..., 1].tolist() == [[200, 255, 0]]


def test_a_class_that_is_taken_away_leaves_the_second_one():
    car, dog = label("car"), label("dog")
    found = labels.without(planes([[car, dog]], 150, car, 80), np.array([car], np.uint8))
    assert found.tolist() == [[[0, 0, 0, 0], [dog, 150, 0, 0]]]


def test_boxes_of_people_name_the_teachers_vehicles():
    car, truck, dog = label("car"), label("truck"), label("dog")
    teacher = planes([[car, car, dog, 0], [car, 0, 0, 0]], 100, truck, 90)
    found = labels.with_boxes(teacher, [("truck", (0, 0, 3, 3))])
    assert found[..., 0].tolist() == [[truck, truck, dog, 0], [truck, 0, 0, 0]]
    assert found[0, 0].tolist() == [truck, 204, 0, 0]
    nothing = labels.with_boxes(planes([[0, dog], [0, 0]]), [("car", (0, 0, 3, 3))])
    assert nothing[..., 0].tolist() == [[255, dog], [255, 255]]  # somewhere there is a car


def test_a_hint_makes_faint_signs_count_and_hides_what_nobody_named():
    cup, bowl = label("cup"), label("bowl")
    table = np.full((8, 8), bowl)
    faint = labels.with_hint(planes(table, 100, cup, 40), "cup")
    assert (faint[..., 0] == cup).all() and (faint[..., 1] == round(255 * (40 / 255) ** 0.4)).all()
    none = labels.with_hint(planes(np.zeros((8, 8), int)), "cup")
    assert (none[..., 0] == 255).all()
    assert hinted("cellphone") == "cell phone" and hinted("stop_sign") == "stop sign"
    assert hinted("tabby") == "cat" and hinted("computer") == "" and hinted("thing") == ""


def test_drawings_and_cut_outs_are_unfit(photos):
    assert not any(unfit(photo) for photo in photos.values())
    drawn = np.full((64, 64, 3), 90, np.uint8)
    cut = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert unfit(drawn) and not unfit(cut)
    cut[:30] = 255
    assert unfit(cut)


def test_planes_hold_the_two_most_likely_classes():
    p = np.zeros((80, 1, 2), np.float32)
    p[[3, 5, 7], 0, 0] = 0.2, 0.6, 0.4
    assert packed(p).tolist() == [[[6, 153, 8, 102], [0, 0, 0, 0]]]


def test_the_loss_by_hand():
    """Three pixels: one is a class by three quarters, one is nothing, one nobody knows."""
    classes = len(vocabulary().classes)
    logits = torch.zeros(1, classes + 1, 1, 3)
    data = torch.zeros(1, 4, 1, 3, dtype=torch.long)
    data[0, :2, 0, 0] = torch.tensor([1, 191])
    data[0, 0, 0, 2] = 255
    q = 1 / (classes + 1)
    soft_iou = q / (1 + q)  # found a little on both known pixels, there on one
    expected = -np.log(q) + 0.5 * (1 - soft_iou)
    x = torch.zeros(1, 3, 4, 12)
    strict = segmentation_loss(logits, WordBatch(x, data, torch.tensor([False])))
    assert strict.item() == pytest.approx(expected)
    rooms = len(vocabulary().classes) - len(vocabulary().coco)
    none = 1 + 64 / 255  # what the first pixel may be besides, and the second
    loose = segmentation_loss(logits, WordBatch(x, data, torch.tensor([True])))
    assert loose.item() == pytest.approx(expected - none * np.log(1 + rooms) / 2)


def test_pixels_and_labels_of_a_crop_stay_together():
    shown = np.zeros((90, 120), np.uint8)
    shown[20:60, 70:110] = 3
    pixels, labelled = np.repeat(shown[..., None] * 80, 3, 2), planes(shown[::2, ::2])
    for seed in range(8):  # mirrored and not, focused and not
        rng = np.random.default_rng(seed)
        seen, found = crop(pixels, labelled, 64, rng, 3 if seed % 2 else None)
        known = found[..., 0] != 255
        quarter = seen[2::4, 2::4, 0]
        assert ((quarter > 120) == (found[..., 0] == 3))[known].mean() > 0.9


def test_the_score_is_that_of_masks(cat, tmp_path):
    left = np.zeros(cat.shape[:2], np.uint8)
    left[:, :250] = label("cat")
    image.write(tmp_path / "cat.png", cat)
    labelled = planes(left[::2, ::2])
    labelled[:10, :, 0] = 255  # says nothing
    write(tmp_path / "labels.png", labelled)
    photo = LabelledPhoto(tmp_path / "cat.png", tmp_path / "labels.png", True, False, {})
    result = score(session.load(DEFAULT)[0], [photo])
    mask = acquire(cat, parse("cat"), Embedded(), sigma=0.1, tau=result.tau, on_empty="background")
    found, true = mask.roi[20::2, ::2], left[20::2, ::2] == label("cat")
    at = label("cat") - 1
    assert np.flatnonzero(~np.isnan(result.iou)).tolist() == [at]
    assert result.iou[at] == pytest.approx((found & true).sum() / (found | true).sum())
    assert result.recall[at] == pytest.approx((found & true).sum() / true.sum())
    assert result.photos[at] == 1 and 0.8 < result.empty <= 1


def test_a_run_that_was_broken_off_ends_as_an_unbroken_one(photos, shared, tmp_path, caplog):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    pytest.importorskip("onnx", reason="needs: pip install 'vcm[train-roi]'")
    _made(tmp_path, photos)
    whole, broken = (
        RoiTraining(
            photos=tmp_path / "photos", voc_masks=tmp_path / "voc", more=str(tmp_path / "more"),
            teacher=str(shared / "weights" / "yolov8n-seg.pt"), initial=str(DEFAULT),
            folder=tmp_path / name, steps=4, batch=2, crop=96, save_every=2,
        )
        for name in ("whole", "broken")
    )  # fmt: skip
    lines = list(train_roi(whole))
    lines = [line for line in lines if " of 4 photos" not in line]  # how far a slow machine is
    assert lines[:2] == ["teacher: 4 photos", "3 photos to learn from, 1 held out"]
    assert lines[-1].startswith("1 held-out photos: IoU")
    records = train_roi(broken)
    assert any(line.startswith("step 2") for line in records)  # and it is broken off there
    records.close()
    list(train_roi(replace(broken, save_every=4)))
    assert "other settings" not in caplog.text
    list(train_roi(replace(broken, lr=2e-3)))  # all its steps are done
    assert "lr 0.001 -> 0.002" in caplog.text
    a, b = (load(tmp_path / n / "roi.safetensors")[0].state_dict() for n in ("whole", "broken"))
    assert all(torch.equal(value, b[name]) for name, value in a.items())
    seen = session.load(tmp_path / "whole" / "roi.safetensors")[0]
    x = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    with torch.inference_mode():
        net = load(tmp_path / "whole" / "roi.safetensors")[0]
        own = net(torch.from_numpy(x)).softmax(1)[0].numpy()
    assert np.abs(seen(x) - own).max() < 1e-3


def test_the_importance_head_learns_what_it_is_shown_and_nothing_else_changes():
    torch.manual_seed(0)
    net, _ = load(DEFAULT)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    seen = [torch.rand(1, 96, 6, 8).bfloat16() for _ in range(12)]
    wanted = [s.float()[:, :1] - 2 * s.float()[:, 1:2] for s in seen]
    pairs = [(s, w - w.mean()) for s, w in zip(seen, wanted, strict=True)]
    assert correlation(net, pairs) < 0.5
    fit(net, pairs, steps=600)
    assert correlation(net, pairs) > 0.85
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith("importance.") for k in changed)


def _made(folder, photos):
    """Photos with a VOC mask, and a folder like the one of data/more.py with a room of NYU's."""
    for name in ("photos", "voc", "more/images", "more/nyu_masks"):
        (folder / name).mkdir(parents=True)
    for name, photo in photos.items():
        image.write(folder / "photos" / f"{name}.png", photo)
    mask = np.full(photos["cat"].shape[:2], 1 + VOC.index("cat"), np.uint8)
    Image.fromarray(mask).save(folder / "voc" / "cat.png")
    room = np.random.default_rng(0).integers(0, 200, (480, 640, 3)).astype(np.uint8)
    image.write(folder / "more" / "images" / f"{ROOM}.jpg", room)
    floor = np.full((480, 640), NYU.index("floor"), np.uint8)
    Image.fromarray(floor).save(folder / "more" / "nyu_masks" / f"{ROOM}.png")
    told = {f"{ROOM}.jpg": {"repository": "a/b", "path": "nyu_images/1.jpg", "hint": "nyu_images"}}
    (folder / "more" / "sources.json").write_text(json.dumps({"photos": told}))
    (folder / "more" / "boxes.json").write_text(
        '{"images": [], "annotations": [], "categories": []}'
    )


def test_photos_are_gathered_with_what_people_say_of_them(photos, tmp_path):
    _made(tmp_path, photos)
    (tmp_path / "run" / "teacher").mkdir(parents=True)
    for path in [*image.folder(tmp_path / "photos"), *image.folder(tmp_path / "more" / "images")]:
        height, width = image.read(path).shape[:2]
        nothing = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
        write(tmp_path / "run" / "teacher" / f"{path.stem}.png", planes(nothing))
    found = gather(tmp_path / "photos", tmp_path / "voc", tmp_path / "more", tmp_path / "run")
    by_name = {photo.path.stem: photo for photo in found}
    assert by_name["cat"].classes == {label("cat"): 1.0} and not by_name["cat"].framed
    assert by_name[ROOM].classes == {label("floor"): 1.0} and by_name[ROOM].framed
    pixels, labelled = by_name[ROOM].load()
    assert pixels.shape[:2] == (426, 560) and labelled.shape == (213, 280, 4)
