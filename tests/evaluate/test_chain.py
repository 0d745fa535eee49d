"""The whole of `vcm eval` against every number computed by hand: a fault in the chain shows."""

import csv
import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated import ran
from markupsafe import escape
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vcm import image
from vcm.commands import eval as command
from vcm.errors import VcmError
from vcm.evaluate.measure import Measurer
from vcm.evaluate.record import packed, unpacked
from vcm.metrics.perceptual import ms_ssim, ms_ssim_in
from vcm.models import load_model
from vcm.plugin import load as plugin

pytestmark = pytest.mark.slow  # whole evaluations

LEVELS = Path(__file__).with_name("levels.py")
PARTS = (
    LEVELS.read_text()
    + '''
from vcm.vision.base import Objects

class Colours:
    """Finds the red block, a cat, and the blue one, a dog; how sure it is depends on the levels."""
    kind, names = "boxes", ("cat", "dog")

    def detect(self, image):
        if image.shape[1] == 333:
            raise ValueError("a picture of 333 columns")
        found = []
        for label, channel in ((0, 0), (1, 2)):
            others = [c for c in range(3) if c != channel]
            there = (image[..., channel] > 150) & (image[..., others] < 70).all(-1)
            if there.sum() < 50:
                continue
            ys, xs = (np.flatnonzero(there.any(a)) for a in (1, 0))
            box = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
            found.append((box, image[there][:, channel].mean() / 255, label))
        boxes, scores, labels = zip(*found) if found else ((), (), ())
        return Objects(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32),
                       np.array(labels, np.int64))

class Picky(Levels):
    name = "picky"

    def encode(self, image, setting):
        if image.shape[1] == 280:
            raise ValueError("not a picture of 280 columns")
        return super().encode(image, setting)

class Broken(Levels):
    name = "broken"

    def encode(self, image, setting):
        raise ZeroDivisionError("never works")
'''
)
TASK = """
name = "blocks"
version = 1
description = "find blocks"
phrases = ["cat"]
classes = ["cat", "dog"]
metric = "AP"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, photos):
    """A COCO set of three photos with a red and a blue block each, and the parts above."""
    place = tmp_path_factory.mktemp("chain")
    (place / "parts.py").write_text(PARTS)
    (place / "blocks.toml").write_text(TASK)
    (place / "set" / "images").mkdir(parents=True)
    entries, annotations = [], []
    for number, (name, photo) in enumerate(photos.items(), 1):
        picture = photo[:200, : 240 + 20 * number].copy()
        picture[picture.max(2) - picture.min(2) > 60] //= 4  # nothing else is red or blue
        blocks = ((1, 30, 40, 50 + number, 60), (2, 120, 90, 70, 40 + number))
        for category, x, y, w, h in blocks:
            picture[y : y + h, x : x + w] = (225, 20, 30) if category == 1 else (25, 15, 203)
            corners = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": category,
                "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "segmentation": [corners],
            })  # fmt: skip
        image.write(place / "set" / "images" / f"{name}.png", picture)
        height, width = picture.shape[:2]
        entries.append({"id": number, "file_name": f"{name}.png", "height": height, "width": width})
    names = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    truth = {"images": entries, "annotations": annotations, "categories": names}
    (place / "set" / "instances.json").write_text(json.dumps(truth))
    return place


@pytest.fixture(scope="module")
def options(place):
    parts = place / "parts.py"
    return command.EvalOptions(
        task=str(place / "blocks.toml"), text=None, model=f"{parts}:Colours", data=place / "set",
        only=None, photos=None, codecs=f"{parts}:Levels,jpeg:at=30/60/90/95", roi="truth",
        roi_weights=None, on_empty="whole", weights="base", reference="jpeg:at=30/60/90/95",
        workers=1, cache=None, no_cache=True, unchecked=False, wandb=None, perceptual=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def report(place, options):
    return ran(place / "out", replace(options, perceptual=True), lambda line: None)


def test_every_number_is_that_of_the_parts_by_themselves(place, options, report):
    codec = plugin(f"{place / 'parts.py'}:Levels", ("encode",))
    model = load_model(options.model)
    truth = COCO(place / "set" / "instances.json")
    rows = list(csv.DictReader((place / "out" / "pictures.csv").read_text().splitlines()))
    for setting, point in zip((4, 16, 256), report["codecs"][0]["points"], strict=True):
        found, sizes, scores = [], 0, []
        for entry in truth.imgs.values():
            picture = image.read(place / "set" / "images" / entry["file_name"])
            data = codec.encode(picture, setting)
            decoded = codec.decode(data, *picture.shape[:2])
            sizes += len(data)
            for box, score, label in zip(*model.detect(decoded)[:3], strict=True):
                x1, y1, x2, y2 = box.tolist()
                found.append({
                    "image_id": entry["id"], "category_id": int(label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1], "score": round(float(score), 6),
                })  # fmt: skip
            roi = truth.annToMask(truth.loadAnns(truth.getAnnIds([entry["id"]]))[0]) > 0
            roi |= truth.annToMask(truth.loadAnns(truth.getAnnIds([entry["id"]]))[1]) > 0
            error = (decoded.astype(float) - picture) ** 2
            mine = {
                n: 10 * np.log10(255**2 / error[where].mean()) if error[where].any() else 100
                for n, where in (("PSNR", ...), ("ROI-PSNR", roi), ("background PSNR", ~roi))
            }
            mine["MS-SSIM"] = ms_ssim(picture, decoded)
            mine["ROI-MS-SSIM"], mine["background MS-SSIM"] = (
                ms_ssim_in(picture, decoded, [where])[0] for where in (roi, ~roi)
            )
            (row,) = (r for r in rows if r["picture"] == entry["file_name"]
                      and "Levels" in r["codec"] and float(r["setting"]) == setting)  # fmt: skip
            for name, value in mine.items():
                assert float(row[name]) == pytest.approx(value, abs=1e-3), (setting, name)
            assert int(row["bytes"]) == len(data)
            assert float(row["roi_share"]) == pytest.approx(roi.mean())
            scores.append(mine)
        assert point["bits"] == 8 * sizes
        for name in scores[0]:
            mean = np.mean([s[name] for s in scores])
            assert point["scores"][name]["value"] == pytest.approx(mean, abs=1e-3)
        evaluated = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluated.evaluate(), evaluated.accumulate(), evaluated.summarize()
        assert point["scores"]["AP"]["value"] == pytest.approx(100 * evaluated.stats[0], abs=1e-3)
        assert point["scores"]["AP50"]["value"] == pytest.approx(100 * evaluated.stats[1], abs=1e-3)
    assert report["uncompressed"]["AP"]["value"] == pytest.approx(100)
    assert point["scores"]["AP"]["value"] > 99  # 256 levels: the picture itself
    assert report["codecs"][0]["points"][0]["scores"]["AP"]["value"] < 100


def test_without_labels_it_is_the_agreement_with_what_was_seen_before(
    place, options, report, tmp_path
):
    """The model finds the labels exactly in the uncompressed pictures, so the scores are equal."""
    shutil.copytree(place / "set" / "images", tmp_path / "photos")
    told = replace(options, data=tmp_path / "photos", roi="embedded", reference=None)
    told = replace(told, codecs=f"{place / 'parts.py'}:Levels")
    again = ran(tmp_path / "out", told, lambda line: None)
    assert again["uncompressed"]["agreement AP"]["value"] == pytest.approx(100)
    for one, other in zip(report["codecs"][0]["points"], again["codecs"][0]["points"], strict=True):
        for metric in ("AP", "AP50"):
            value = other["scores"][f"agreement {metric}"]["value"]
            assert value == pytest.approx(one["scores"][metric]["value"], abs=1e-3)


def test_a_picture_that_one_codec_cannot_code_counts_for_none(place, options, tmp_path):
    parts = place / "parts.py"
    told = replace(options, codecs=f"{parts}:Levels,{parts}:Picky", reference=None)
    both = ran(tmp_path / "both", told, lambda line: None)
    (name,) = both["failed"]
    assert "not a picture of 280 columns" in both["failed"][name]
    shutil.copytree(place / "set", tmp_path / "set")
    (tmp_path / "set" / "images" / name).unlink()
    told = replace(told, data=tmp_path / "set", codecs=f"{parts}:Levels")
    without = ran(tmp_path / "without", told, lambda line: None)
    levels, picky = both["codecs"]
    assert levels["points"] == without["codecs"][0]["points"]
    assert [p["bits"] for p in picky["points"]] == [p["bits"] for p in levels["points"]]


def test_a_score_that_the_task_does_not_expect_stops_before_anything_is_coded(
    place, options, tmp_path
):
    text = (
        place / "blocks.toml"
    ).read_text() + 'model = "mine"\ndata = "set"\nweights = "Colours"\n'
    (tmp_path / "blocks.toml").write_text(f"{text}[expected]\nscore = 50\ntolerance = 1\n")
    told = replace(options, task=str(tmp_path / "blocks.toml"), codecs="jpeg:at=30/60/90/95")
    with pytest.raises(VcmError, match="50"):
        ran(tmp_path / "out", told, lambda line: None)
    kept = [json.loads(gzip.decompress(p.read_bytes())) for p in tmp_path.rglob("*.gz")]
    assert len(kept) == 3 and not any(record["codecs"] for record in kept)
    report = ran(tmp_path / "out", replace(told, unchecked=True), lambda line: None)
    assert len(report["codecs"][0]["points"]) == 4


def test_what_is_kept_of_objects_is_what_they_were(place, options):
    model = load_model(options.model)
    found = model.detect(image.read(next((place / "set" / "images").glob("*.png"))))
    again = unpacked(packed(found))
    assert len(found.boxes) == 2
    assert again.boxes == pytest.approx(found.boxes, abs=1e-3)
    assert again.scores == pytest.approx(found.scores, abs=1e-6)
    assert again.labels.tolist() == found.labels.tolist() == [0, 1]


def test_what_gave_the_roi_is_told(options, report):
    assert report["roi"]["networks"] == ["truth"]
    plan = command.planned(replace(options, roi="auto"), lambda line: None)
    plan = replace(plan, task=replace(plan.task, phrases=("cat", "barcode")))
    assert Measurer(plan).networks == ("embedded", "codes")


def test_the_page_shows_how_numbers_and_pictures(place, report):
    page = (place / "out" / "index.html").read_text()
    for key in ("command", "commit", "machine", "date"):
        assert report[key] is None or str(escape(report[key])) in page
    for name, version in report["versions"].items():
        assert name in page and version in page
    assert len(re.findall(r'src="data:image/webp', page)) >= 6
    assert len(re.findall(r'src="data:image/svg', page)) >= 4
    for value in report["bd"]["PSNR"].values():
        if value["value"]:
            assert f"{value['value']:+.1f}" in page
    assert all(str(escape(line)) in page for line in report["left_out"])
    measured = report["codecs"][0]["points"][0]["scores"].keys()
    assert {line.partition(":")[0] for line in report["left_out"]} | measured >= {"LPIPS", "DISTS"}
    for share in report["bits_at"].values():
        for value in share.values():
            assert value["value"] is None or f"{value['value']:.3f}" in page


def test_a_photo_that_the_model_cannot_take_does_not_stop_the_rest(place, options, tmp_path):
    shutil.copytree(place / "set" / "images", tmp_path / "photos")
    image.write(tmp_path / "photos" / "odd.png", np.zeros((200, 333, 3), np.uint8))
    told = replace(options, data=tmp_path / "photos", roi="embedded")
    report = ran(tmp_path / "out", told, lambda line: None)
    assert report["data"]["pictures"] == 3
    assert re.search("ValueError: a picture of 333 columns", report["failed"]["odd.png"])


def test_a_photo_that_is_replaced_is_measured_again(place, options, tmp_path):
    shutil.copytree(place / "set", tmp_path / "set")
    told = replace(
        options, data=tmp_path / "set", codecs=f"{place / 'parts.py'}:Levels", reference=None
    )
    before = ran(tmp_path / "out", told, lambda line: None)
    path = next((tmp_path / "set" / "images").glob("*.png"))
    image.write(path, np.ascontiguousarray(image.read(path)[::-1]))
    after = ran(tmp_path / "out", told, lambda line: None)
    assert after["uncompressed"]["AP"]["value"] < before["uncompressed"]["AP"]["value"] - 10


def test_a_codec_that_never_works_is_found_before_any_work(place, options, tmp_path):
    told = replace(options, codecs=f"{options.codecs},{place / 'parts.py'}:Broken")
    with pytest.raises(VcmError, match="broken: ZeroDivisionError: never works"):
        ran(tmp_path, told, lambda line: None)
    assert not list(tmp_path.rglob("*.gz"))


@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_is_logged_to_wandb(place, options, tmp_path, wandb_offline):
    from offline import written

    told = replace(options, wandb="project")
    report = ran(tmp_path, told, lambda line: None)
    values, _ = written(tmp_path)
    assert values["uncompressed/AP"] == pytest.approx(report["uncompressed"]["AP"]["value"])
    assert values["page/path"].endswith(".html") and values["curves/AP/path"].endswith(".png")
