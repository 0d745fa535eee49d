"""What a task model looks at: mask values from gradients, or learnt, up to the file."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from vcm import container, image
from vcm.cli import cli
from vcm.codec.format import levels
from vcm.errors import SpecError
from vcm.evaluate.codecs import build
from vcm.importance import LEARNED, Importance
from vcm.roi.mask import RoiMask

CORNER = '''
import torch


class Corner:
    """A task model that sees the upper left quarter alone, and its upper half twice as well."""

    kind, names = "boxes", ("thing",)

    def features(self, x):
        h, w = x.shape[2] // 2, x.shape[3] // 2
        weights = torch.zeros_like(x)
        weights[..., : h // 2, :w], weights[..., h // 2 : h, :w] = 2, 1
        return [torch.nn.functional.avg_pool2d(x * weights, 16)]
'''


@pytest.fixture
def corner(tmp_path):
    (tmp_path / "corner.py").write_text(CORNER)
    return f"{tmp_path / 'corner.py'}:Corner"


def vcm(*arguments):
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_it_is_where_the_features_come_from(corner, photos):
    look, photo = Importance(corner), photos["person"][:256, :256]
    values = look.values(photo)
    assert values.shape == (16, 16) and values.dtype == np.float32
    assert not values[8:].any() and not values[:, 8:].any()
    upper, lower = values[:4, :8], values[4:8, :8]
    assert upper.max() == 1 and upper.min() > 0.3
    # twice the gradient is four times the weight, so a value of the square root of two
    assert np.median(upper) / np.median(lower) == pytest.approx(2**0.5, rel=0.2)
    assert np.array_equal(Importance(corner).values(photo), values)  # no chance in it


def test_a_mask_is_weighed_inside_and_never_under_sigma(corner, photos):
    photo = photos["person"][:200, :230]  # no multiples of a square
    roi = np.zeros(photo.shape[:2], np.bool_)
    roi[:, :100] = True
    mask = Importance(corner).applied(photo, RoiMask(roi, 0.125, "drawn"))
    assert mask.source.startswith("drawn, importance by") and mask.sigma == 0.125
    assert (mask.values[~roi] == 0.125).all() and (mask.values[150:] == 0.125).all()
    assert mask.values[:90, :90].min() > 0.125 and mask.values.max() == 1
    half = RoiMask(0.5 * roi, 0.125, "half")
    assert Importance(corner).applied(photo, half).values.max() == 0.5


def test_large_pictures_are_asked_smaller_and_small_ones_as_they_are(corner, photos):
    photo = photos["person"][:256, :256]
    large = cv2.resize(photo, None, fx=4.5, fy=4.5)
    values = Importance(corner).values(large)
    assert values.shape == (72, 72) and values[:30, :30].min() > 0 and not values[40:].any()
    assert Importance(corner).values(photo[:20, :20]).shape == (2, 2)


def test_what_is_learnt_resembles_what_a_detector_looks_at(shared):
    pytest.importorskip("ultralytics", reason="needs: pip install 'vcm[yolo]'")
    photo = image.read(shared / "data" / "coco213" / "images" / "000000000036.jpg")
    learned = Importance(LEARNED).values(photo)
    asked = Importance(str(shared / "weights" / "yolo11n.pt")).values(photo)
    assert learned.shape == asked.shape == (-(-photo.shape[0] // 16), -(-photo.shape[1] // 16))
    assert 0 < learned.min() < 0.8 < learned.max() == 1
    both = np.corrcoef(np.log(learned.ravel()), np.log(asked.ravel()))
    assert both[0, 1] > 0.3


def test_it_moves_the_bits_of_a_file(corner, photos, mapped_weights, tmp_path):
    image.write(tmp_path / "a.png", photos["person"])
    common = ("-o", tmp_path / "a.vcm", "--weights", mapped_weights, "--json")
    told = vcm("encode", tmp_path / "a.png", "--importance", corner, "--sigma", 0.05, *common)
    assert told["roi"] == f"all of it, importance by {corner}" and told["sigma"] == 0.05
    stream = container.unpack((tmp_path / "a.vcm").read_bytes())
    index = levels.unpack(stream.map, stream.header.quality, 18, 18).hundredths
    assert (index[:8, :8] > index.min()).all() and (index[10:] == index.min()).all()
    words = vcm("encode", tmp_path / "a.png", "--box", "0,0,50,50", "--importance", corner, *common)
    assert words["bytes"] < told["bytes"] and "1 box, importance by" in words["roi"]


def test_it_can_be_seen(corner, photos, tmp_path):
    image.write(tmp_path / "a.png", photos["person"])
    told = vcm("importance", tmp_path / "a.png", "--importance", corner, "-o",
               tmp_path / "seen.png", "--json")  # fmt: skip
    assert told["tenth"] == 0 and image.read(tmp_path / "seen.png").std() > 10
    shown = vcm("roi", tmp_path / "a.png", "--importance", corner, "-o", tmp_path / "roi.png",
                "--save-mask", tmp_path / "mask.png", "--json")  # fmt: skip
    values = image.read_values(tmp_path / "mask.png", (288, 288))
    assert values[:100, :100].min() > 0.2 and not values[160:].any() and shown["share"] < 0.3


def test_codecs_of_an_evaluation_take_it(corner, photos, mapped_weights):
    photo = photos["person"][:128, :128]
    mask = RoiMask(np.ones((128, 128), np.bool_), 0.1, "all")
    usual = build("vcm", 0.1, str(mapped_weights))
    weighed = build("vcm:importance=learned", 0.1, str(mapped_weights))
    assert weighed.name == f"{usual.name}, importance learned" and weighed.key != usual.key
    files = [container.unpack(codec.encode(photo, mask, 60)) for codec in (usual, weighed)]
    assert [bool(file.map) for file in files] == [False, True]
    assert len(files[1].y) < len(files[0].y)
    plain = build("x265+roi:offset=values", 0.1, "base")
    valued = build("x265+roi:offset=values:importance=learned", 0.1, "base")
    assert valued.name == f"{plain.name}, importance learned" and valued.key != plain.key
    assert len(valued.encode(photo, mask, 27)) < len(plain.encode(photo, mask, 27))
    with pytest.raises(SpecError, match="importance goes with offset=values"):
        build("x265+roi:importance=learned", 0.1, "base")


def test_a_model_without_gradients_is_refused(tmp_path):
    with pytest.raises(SpecError, match="no gradients reach the pixels"):
        Importance("picodet.onnx")
