"""From pictures to files and back, as a program calls it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vcm
from vcm import container, pipeline
from vcm.codec.format.control import Control
from vcm.errors import BitstreamError, ImageError, ModelError, SpecError, UnknownWord
from vcm.roi.mask import RoiMask


@pytest.fixture
def roi(cat):
    """The left half, the rest at a tenth."""
    inside = np.zeros(cat.shape[:2], np.bool_)
    inside[:, :225] = True
    return RoiMask(inside, 0.1, "test")


@pytest.mark.parametrize("quality", [0, 37.5, 100])
def test_a_file_measures_its_entropy(quality, cat, roi, base):
    data = vcm.encode(cat, roi, base, quality=quality)
    x = torch.from_numpy(cat).permute(2, 0, 1)[None]
    analysed = base.encoder.analyse(x, torch.from_numpy(roi.values)[None, None])
    estimate = base.latents.bits(base.encoder.quantise(analysed, Control(quality))) / 8
    assert estimate <= len(data) <= 1.01 * estimate + 100


@pytest.mark.parametrize("side", [None, 24])
def test_the_heat_map_holds_the_bits_of_the_file(side, cat, roi, base, monkeypatch):
    if side:
        monkeypatch.setattr(base.encoder, "side", lambda h, w: side)  # two tiles
    data = vcm.encode(cat, roi, base, quality=60)
    bits = pipeline.bits_at(data, base)
    assert bits.shape == (19, 29)  # cat: 300x451
    stream = container.unpack(data)
    assert bits.sum() == pytest.approx(8 * (len(stream.z) + len(stream.y)), rel=0.01)
    assert bits[:, :13].mean() > 3 * bits[:, 15:].mean()


def test_a_size_is_hit(cat, roi, base):
    assert abs(len(vcm.encode(cat, roi, base, size=3_000)) - 3_000) <= 90


@pytest.mark.parametrize("size", [70, 75, 120, 201])
def test_a_small_size_is_hit_within_words(size, cat, base):
    part = cat[100:124, 100:124]
    everything = RoiMask(np.ones(part.shape[:2], np.bool_), 1.0, "test")
    assert abs(len(vcm.encode(part, everything, base, size=size)) - size) <= max(8, 0.03 * size)


@pytest.mark.parametrize(
    ("height", "text", "told"), [(70_000, None, "height"), (8, "a\nb", "control"), (8, "", "1 to")]
)
@pytest.mark.parametrize("rate", [{"quality": 50}, {"size": 500}])
def test_what_no_file_holds_is_refused_before_any_work(height, text, told, rate, tiny, monkeypatch):
    for work in ("compress", "compress_to"):
        monkeypatch.setattr(tiny, work, lambda *_: pytest.fail("it began"))
    picture = np.zeros((height, 1, 3), np.uint8)
    everything = RoiMask(np.ones((height, 1), np.bool_), 1.0, "test")
    with pytest.raises(SpecError, match=f"a file cannot hold this.*{told}"):
        vcm.encode(picture, everything, tiny, text=text, **rate)


def test_a_file_says_what_it_was_made_with(cat, roi, tiny):
    data = vcm.encode(cat, roi, tiny, quality=12.34, text="cat")
    assert vcm.pipeline.quality_of(data) == 12.34
    stream = container.unpack(data)
    assert stream.header.fingerprint == tiny.fingerprint and stream.text == "cat"
    plain = vcm.encode(cat, roi, tiny, quality=12.34)
    assert np.array_equal(vcm.decode(data, tiny), vcm.decode(plain, tiny))
    assert len(data) == len(plain) + 3 + 3  # the text, how many sections, its id and length


def test_a_task_finds_its_roi(cat, embedded):
    task = vcm.find_task("coco-animals")
    mask = vcm.pipeline.find_roi(cat, task, embedded)
    assert mask.sigma == task.sigma and 0.3 < mask.share < 0.95


def test_phrases_of_a_task_are_taken_as_they_are(cat, embedded):
    task = vcm.TaskSpec("signs", 1, "", phrases=("no entry sign", "cat"))
    with pytest.raises(UnknownWord, match="unknown word 'no'"):  # not: excluded
        vcm.pipeline.find_roi(cat, task, embedded)


def test_views_of_a_picture_are_coded_like_copies(cat, tiny):
    view = cat[::-2, 10:200:3]
    even = RoiMask(np.ones(view.shape[:2], np.bool_), 1.0, "test")
    frozen = view.copy()
    frozen.flags.writeable = False
    expected = vcm.encode(view.copy(), even, tiny, quality=50)
    assert vcm.encode(view, even, tiny, quality=50) == expected
    assert vcm.encode(frozen, even, tiny, quality=50) == expected
    decoded = vcm.decode(expected, tiny)
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous


@pytest.mark.parametrize(
    ("picture", "rate", "words"),
    [
        ((9, 9, 3), {}, "quality or a size"),
        ((9, 9, 3), {"quality": 5, "size": 500}, "quality or a size"),
        ((9, 9, 3), {"quality": 101}, "quality"),
        ((9, 8, 3), {"quality": 5}, "mask"),
    ],
)
def test_wrong_calls_are_named(picture, rate, words, tiny):
    even = RoiMask(np.ones((9, 9), np.bool_), 1.0, "test")
    with pytest.raises(SpecError) as caught:
        vcm.encode(np.zeros(picture, np.uint8), even, tiny, **rate)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))],
    ids=["grey", "transparent", "floating point"],
)
def test_arrays_that_are_no_picture_are_refused(picture, tiny):
    even = RoiMask(np.ones((9, 9), np.bool_), 1.0, "test")
    with pytest.raises(ImageError, match=r"\(H, W, 3\) uint8"):
        vcm.encode(picture, even, tiny, quality=5)


def test_a_file_of_another_model_is_refused(cat, roi, tiny, base):
    with pytest.raises(ModelError, match="the loaded one is") as caught:
        vcm.decode(vcm.encode(cat, roi, tiny, quality=5), base)
    assert caught.value.hint == "weights"


@pytest.mark.parametrize(("height", "width", "tile"), [(16_384, 16_384, 96), (3_000, 3_000, 0)])
def test_a_file_that_claims_more_than_it_holds_is_refused_at_once(
    height, width, tile, cat, base, monkeypatch
):
    """Nothing of the claimed size is computed: 268 million pixels would take a minute."""
    whole = RoiMask(np.ones((64, 48), np.bool_), 1.0, "test")
    honest = container.unpack(vcm.encode(cat[:64, :48], whole, base, quality=50))
    header = replace(honest.header, height=height, width=width, tile=tile)
    forged = container.pack(replace(honest, header=header))
    monkeypatch.setattr(base.model.decoder.parameters_y, "features", None)  # nothing gets that far
    with pytest.raises(BitstreamError, match="too short"):
        vcm.decode(forged, base)
