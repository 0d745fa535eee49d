"""Codecs of an evaluation that are told mask values, and mechanisms of ours."""

import numpy as np
import pytest

from vcm.anchors.blocks import offsets
from vcm.errors import SpecError
from vcm.evaluate.codecs import build
from vcm.evaluate.store import name
from vcm.metrics.distortion import psnr
from vcm.roi.mask import RoiMask


def masked(roi, sigma=0.1):
    return RoiMask(roi, sigma, "drawn")


def test_an_offset_by_values_is_six_for_each_half():
    values = np.full((40, 70), 0.1, np.float16)  # three rows of five blocks
    values[:16, :16], values[20, 40] = 1, 0.5
    assert offsets(values, 16).tolist() == [[0] + [20] * 4, [20, 20, 6, 20, 20], [20] * 5]


@pytest.mark.parametrize("text", ["x265+roi:offset=values", "kvazaar+roi:offset=values"])
def test_a_qp_map_by_values_obeys_each_of_them(text, photos):
    photo = photos["cat"][:192, :256]
    roi = np.zeros(photo.shape[:2], np.float32)
    roi[:64], roi[64:128] = 1, 0.5
    codec = build(text, 0.1, "base")
    assert codec.name.endswith("QP map by values, sigma 0.1") and codec.uses_roi
    decoded = codec.decode(codec.encode(photo, masked(roi), 23), *photo.shape[:2])
    best, middle, rest = (psnr(photo, decoded, where) for where in (roi == 1, roi == 0.5, roi == 0))
    assert best > middle + 2 > rest + 4
    other = build(f"{text}:sigma=0.5", 0.1, "base")
    assert other.key != codec.key
    assert len(other.encode(photo, masked(roi), 23)) > len(codec.encode(photo, masked(roi), 23))
    plain = build(text.partition("+")[0], 0.1, "base")
    even = np.ones(photo.shape[:2], np.bool_)
    nearly = len(codec.encode(photo, masked(even), 23)) / len(plain.encode(photo, masked(even), 23))
    assert 0.9 < nearly < 1.1


def test_how_much_of_a_qp_map_is_clipped():
    roi, picture = np.zeros((64, 256), np.float32), np.zeros((64, 256, 3), np.uint8)
    roi[:, :64], roi[:, 64:128] = 1, 0.5
    codec = build("kvazaar+roi:offset=values", 0.1, "base")
    shares = [codec.clipped(picture, masked(roi), setting) for setting in (30, 31, 32, 45, 46, 51)]
    assert shares == [0, 0, 0.5, 0.5, 0.75, 0.75]
    assert build("kvazaar+roi", 0.1, "base").clipped(picture, masked(roi), 51) == 0


def test_sigma_of_a_plain_offset_is_refused():
    with pytest.raises(SpecError, match="sigma goes with offset=values"):
        build("x265+roi:sigma=0.3", 0.1, "base")


def test_values_are_in_the_key_of_a_file(photos):
    codec, photo = build("kvazaar+roi:offset=values", 0.1, "base"), photos["cup"]
    half = np.full(photo.shape[:2], 0.5)
    names = {name(codec, photo, masked(roi), 30) for roi in (half, half / 2, half > 0, half > 1)}
    assert len(names) == 4


def test_a_mechanism_is_part_of_the_name_and_the_key(mapped_weights):
    usual = build("vcm", 0.1, str(mapped_weights))
    alone = build("vcm:mechanism=map", 0.1, str(mapped_weights))
    assert alone.name == f"{usual.name}, mechanism map" and alone.key != usual.key
    with pytest.raises(SpecError, match="expected both, map or lma"):
        build("vcm:mechanism=none", 0.1, str(mapped_weights))


def test_a_model_without_a_map_has_no_such_mechanism(tiny_weights):
    with pytest.raises(SpecError, match="has no map"):
        build("vcm:mechanism=map", 0.1, str(tiny_weights))
