"""Training of the words-to-mask network: labels, loss and score by hand, and a run that goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vcm import image, toml
from vcm.roi.acquire import acquire
from vcm.roi.embedded import DEFAULT, Embedded, load_network
from vcm.roi.text import parse
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi import RoiTraining, segmentation_loss, train_roi
from vcm.train.roi_data import Sample, _crop
from vcm.train.roi_labels import VOC, with_voc
from vcm.train.roi_score import score

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def label(name):
    """Of a class in our label maps."""
    return vocabulary().classes.index(name) + 1


@pytest.mark.parametrize("name", ["roi", "roi_head", "roi_long"])
def test_the_configs_that_come_along_are_valid(name):
    assert toml.load(CONFIGS / f"{name}.toml", RoiTraining).steps > 0


def test_people_decide_about_vocs_classes_and_the_teacher_about_others():
    cat, table = 1 + VOC.index("cat"), 1 + VOC.index("dining table")
    voc = np.array([[0, 0, cat], [255, table, table], [0, cat, 0]], np.uint8)
    cup, dog = label("cup"), label("dog")
    teacher = np.array([[cup, dog, dog], [cup, cup, 0], [255, cup, 0]], np.uint8)
    expected = [
        [cup, 0, label("cat")],  # VOC saw no dog there
        [255, cup, label("dining table")],  # what stands on a table is not table
        [255, label("cat"), 0],
    ]
    assert with_voc(teacher, voc).tolist() == expected


def test_the_loss_by_hand():
    """Two classes, four pixels, one of them ignored: logits of 0 are a half each."""
    logits, labels = torch.zeros(1, 2, 2, 2), torch.tensor([[[1, 1], [0, 255]]])
    cross = np.log(2)
    soft_iou = (2 * 0.5) / (2 + 0.5)  # both pixels by half, over these and half of the other
    assert segmentation_loss(logits, labels).item() == pytest.approx(cross + 0.5 * (1 - soft_iou))
    assert segmentation_loss(logits, labels.clamp(max=0)).item() == pytest.approx(cross)


def test_pixels_and_labels_of_a_crop_stay_together():
    labels = np.zeros((90, 120), np.uint8)
    labels[20:60, 70:110] = 3
    sample = Sample(np.repeat(labels[..., None] * 80, 3, 2), labels)
    for seed in range(8):  # mirrored and not, focused and not
        pixels, seen = _crop(sample, 64, np.random.default_rng(seed), 3 if seed % 2 else None)
        inside = seen != 255
        assert ((pixels[..., 0] > 120) == (seen == 3))[inside].mean() > 0.93


def test_the_score_is_that_of_masks(cat):
    left = np.zeros(cat.shape[:2], np.uint8)
    left[:, :250] = label("cat")
    left[:20] = 255  # says nothing
    net, _ = load_network(DEFAULT)
    result = score(net.eval(), [Sample(cat, left)])
    mask = acquire(cat, parse("cat"), Embedded(), sigma=0.1, tau=result.tau, on_empty="background")
    found, true = mask.roi[20:], left[20:] == label("cat")
    assert list(result.iou) == ["cat"]
    assert result.iou["cat"] == pytest.approx((found & true).sum() / (found | true).sum())
    assert result.mean == pytest.approx(100 * result.iou["cat"]) and 0.8 < result.empty <= 1


def test_a_run_that_was_broken_off_ends_as_an_unbroken_one(photos, shared, tmp_path, caplog):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    (tmp_path / "photos").mkdir()
    for name, photo in photos.items():
        image.write(tmp_path / "photos" / f"{name}.png", photo)
    (tmp_path / "voc").mkdir()
    mask = np.full(photos["cat"].shape[:2], 1 + VOC.index("cat"), np.uint8)
    Image.fromarray(mask).save(tmp_path / "voc" / "cat.png")
    whole, broken = (
        RoiTraining(
            photos=tmp_path / "photos", voc_masks=tmp_path / "voc",
            teacher=str(shared / "weights" / "yolov8n-seg.pt"), initial=str(DEFAULT),
            folder=tmp_path / name, steps=4, batch=2, crop=96, held_out=1, save_every=2,
        )
        for name in ("whole", "broken")
    )  # fmt: skip
    lines = list(train_roi(whole))
    assert lines[0] == "3 label maps made" and lines[-1].startswith("held out: IoU")
    records = train_roi(broken)
    assert next(records) and next(records).startswith("step 2")
    records.close()
    list(train_roi(replace(broken, save_every=4)))
    assert "otherwise" not in caplog.text
    list(train_roi(replace(broken, lr=2e-3)))  # all its steps are done
    assert "lr 0.001 -> 0.002" in caplog.text
    a, b = (
        load_network(tmp_path / n / "roi.safetensors")[0].state_dict() for n in ("whole", "broken")
    )
    assert all(torch.equal(value, b[name]) for name, value in a.items())
