"""Codecs by name, and the store of their files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vcm import roi
from vcm.anchors.roi import rectangles
from vcm.codec.models import published
from vcm.codec.runtime import one_rate
from vcm.dataset import DataSet
from vcm.errors import SpecError
from vcm.evaluate.codecs import build, is_ours, labels, parse
from vcm.evaluate.digest import digest_of
from vcm.evaluate.ours import QUALITIES
from vcm.evaluate.plan import Plan
from vcm.evaluate.store import Store, name
from vcm.evaluate.table import CODECS
from vcm.metrics.distortion import psnr
from vcm.roi.mask import RoiMask
from vcm.task import find_task

KNOWS = """
import numpy as np

class Mine:
    name, settings = "mine", (1, 2, 3)

    def encode(self, image, roi, setting):
        rows, columns = (np.flatnonzero(roi.any(a)) for a in (1, 0))
        return image[: rows[-1] + 1, : columns[-1] + 1].tobytes()

    def decode(self, data, height, width):
        image = np.zeros((height, width, 3), np.uint8)
        image[:50, :70] = np.frombuffer(data, np.uint8).reshape(50, 70, 3)
        return image
"""


def masked(roi, sigma=0.1):
    return RoiMask(roi, sigma, "drawn")


def test_what_a_text_says():
    spec = parse("x265+roi:offset=-12:preset=fast")
    assert (spec.base, spec.mode, spec.options) == (
        "x265", "roi", {"offset": -12, "preset": "fast"},
    )  # fmt: skip
    assert parse("vcm:sigma=0.3:at=10/50").options == {"sigma": 0.3, "at": (10.0, 50.0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h264", "expected one of vcm, jpeg"),
        ("vvenc+roi", r"expected vvenc\+blur, vvenc\+flat, vvenc\+two"),
        ("vcm+roi", "expected vcm alone"),
        ("jpeg:sigma=1", "option 'sigma'"),
        ("vcm:sigma=much", "sigma cannot be 'much'"),
        ("x265+blur:offset=3", "expected one of preset, blur, at"),
        ("", "expected one of"),
    ],
)
def test_what_cannot_be_is_named(text, message):
    with pytest.raises(SpecError, match=message):
        parse(text)


def test_ours_takes_sigma_from_the_task_or_the_text(tiny_weights):
    assert build("vcm", 0.1, str(tiny_weights)).name == "vcm tiny, sigma 0.1"
    codec = build("vcm:sigma=0.3", 0.1, str(tiny_weights))
    assert codec.name == "vcm tiny, sigma 0.3" and codec.settings == QUALITIES
    assert codec.key != build("vcm", 0.1, str(tiny_weights)).key


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_models_of_one_rate_each_are_one_curve(tmp_path, photos, tiny_weights):
    for number in (1, 2):
        torch.manual_seed(number)
        preset = published.Preset("bmshj2018-hyperprior", 8 * number, 8 * number)
        model = published.build(preset)
        one_rate.save(tmp_path / f"{number}.safetensors", model, preset, {})
    joined = f"{tmp_path}/1.safetensors+{tmp_path}/2.safetensors"
    codec = build(f"vcm:weights={joined}", 0.1, "base")
    assert codec.name == "vcm 1+2, sigma 0.1" and codec.settings == (1, 2) and codec.uses_roi
    photo = photos["cup"][:64, :70]
    roi = np.ones(photo.shape[:2], np.bool_)
    files = [codec.encode(photo, masked(roi), setting) for setting in codec.settings]
    for data, single in zip(files, joined.split("+"), strict=True):
        alone = build(f"vcm:weights={single}", 0.1, "base")
        assert alone.settings == (1,) and alone.key != codec.key
        assert alone.encode(photo, masked(roi), 1) == data
        assert np.array_equal(codec.decode(data, 64, 70), alone.decode(data, 64, 70))
    shutil.copy(tmp_path / "1.safetensors", tmp_path / "a+b.safetensors")  # one file all the same
    assert build(f"vcm:weights={tmp_path / 'a+b.safetensors'}", 0.1, "base").settings == (1,)
    with pytest.raises(SpecError, match="places of its files"):
        build(f"vcm:weights={joined}:at=3", 0.1, "base")
    for rest in (f"+{tiny_weights}", ":effort=3"):
        with pytest.raises(SpecError, match="models of one rate"):
            build(f"vcm:weights={joined}{rest}", 0.1, "base")


def test_codecs_of_one_name_are_told_apart():
    texts = ("jpeg", "x265", "x265:preset=fast")
    names = labels({text: build(text, 0.1, "base") for text in texts})
    assert names["jpeg"] == "JPEG" and len(set(names.values())) == 3
    assert names["x265:preset=fast"] == "x265 4:2:0 (x265:preset=fast)"


def test_settings_of_classical_codecs_are_whole_numbers():
    with pytest.raises(SpecError, match="whole numbers"):
        build("jpeg:at=22.5/30", 0.1, "base")


def test_two_streams_of_a_picture_that_is_all_roi_are_one(photos):
    photo = photos["cat"][:128, :128]
    two, one = build("x265+two", 0.1, "base"), build("x265", 0.1, "base")
    everything = np.ones(photo.shape[:2], np.bool_)
    assert (
        len(two.encode(photo, masked(everything), 33))
        < len(one.encode(photo, masked(everything), 33)) + 20
    )


@pytest.mark.parametrize(
    "text",
    ["x265+two", "kvazaar+roi", "avif+flat", "jpeg", "x265-444+blur", "jpeg+two"],
)
def test_every_codec_obeys_the_roi(text, photos):
    photo = photos["cat"][60:190, 40:230]  # 130 x 190, neither a multiple of 8
    roi = np.zeros(photo.shape[:2], np.bool_)
    roi[:64, 64:128] = True  # a block of the coarsest map
    codec = build(text, 0.1, "base")
    data = codec.encode(photo, masked(roi), codec.settings[4])
    decoded = codec.decode(data, *photo.shape[:2])
    assert decoded.shape == photo.shape and decoded.dtype == np.uint8
    error = np.abs(decoded.astype(int) - photo).mean(2)
    assert error[roi].mean() < 8
    if codec.uses_roi:
        assert error[roi].mean() < 0.8 * error[~roi].mean()
        assert data != codec.encode(photo, masked(~roi), codec.settings[4])


@pytest.mark.parametrize("text", ["x265+two", "vvenc+two:preset=faster", "kvazaar+two"])
def test_an_roi_in_the_last_rows_alone_is_coded(text, photos):
    photo = photos["cat"][:139, :203]  # 11 rows and columns over a multiple of the block
    roi = np.zeros(photo.shape[:2], np.bool_)
    roi[-4:, 20:50] = roi[:30, -3:] = True
    codec = build(text, 0.1, "base")
    decoded = codec.decode(codec.encode(photo, masked(roi), 27), *photo.shape[:2])
    assert psnr(photo, decoded, roi) > psnr(photo, decoded, ~roi) + 2


def test_a_codec_of_one_s_own_may_take_the_roi(tmp_path, photos):
    (tmp_path / "mine.py").write_text(KNOWS)
    photo = photos["cup"]
    roi = np.zeros(photo.shape[:2], np.bool_)
    roi[:50, :70] = True
    codec = build(f"{tmp_path / 'mine.py'}:Mine+roi:at=3", 0.1, "base")
    assert codec.uses_roi and codec.settings == (3.0,) and codec.name == "mine"
    data = codec.encode(photo, masked(roi), 3)
    assert len(data) == 3 * 50 * 70
    decoded = codec.decode(data, *photo.shape[:2])
    assert (decoded[roi] == photo[roi]).all() and not decoded[~roi].any()
    with pytest.raises(SpecError, match="option 'offset'; expected one of at"):
        build(f"{tmp_path / 'mine.py'}:Mine+roi:offset=-3", 0.1, "base")


def test_files_of_another_program_are_others(monkeypatch):
    before = build("x265", 0.1, "base").key, build("jpeg", 0.1, "base").key
    monkeypatch.setattr("vcm.anchors.ffmpeg.version", lambda: "ffmpeg version of another day")
    after = build("x265", 0.1, "base").key, build("jpeg", 0.1, "base").key
    assert before[0] != after[0] and before[1] == after[1]


def test_rectangles_cover_the_roi_and_do_not_overlap(rng):
    roi = np.zeros((200, 333), np.bool_)
    for y, x in rng.integers(0, 180, (6, 2)):
        roi[y : y + 15, x : x + 20] = True
    count = np.zeros(roi.shape, int)
    for x, y, w, h in rectangles(roi):
        count[y : y + h, x : x + w] += 1
    assert count.max() == 1 and (count[roi] == 1).all()
    assert rectangles(np.zeros((20, 20), np.bool_)) == []


def test_more_parts_than_a_file_holds_become_larger_ones(rng):
    blocks = np.zeros((60, 60), np.bool_)
    blocks[::2, ::2] = rng.random((30, 30)) < 0.5  # some 450 parts
    roi = blocks.repeat(16, 0).repeat(16, 1)
    count = np.zeros(roi.shape, int)
    for x, y, w, h in rectangles(roi):
        count[y : y + h, x : x + w] += 1
    assert (count[roi] == 1).all() and count.max() == 1 and len(rectangles(roi)) <= 255


def test_the_store_codes_once_for_equal_input(tmp_path, photos):
    photo = photos["cup"]
    roi = np.zeros(photo.shape[:2], np.bool_)
    jpeg, x265 = build("jpeg", 0.1, "base"), build("x265+roi", 0.1, "base")
    assert name(jpeg, photo, masked(roi), 5) == name(
        jpeg, photo, masked(~roi), 5
    )  # it knows no ROI
    assert name(x265, photo, masked(roi), 5) != name(x265, photo, masked(~roi), 5)
    assert name(jpeg, photo, masked(roi), 5) != name(jpeg, photo[::-1], masked(roi), 5)
    assert name(jpeg, photo, masked(roi), 5) != name(jpeg, photo, masked(roi), 6)
    store = Store(tmp_path)
    data = store.encoded(jpeg, photo, masked(roi), 50)
    (path,) = (p for p in tmp_path.rglob("*") if p.is_file())
    path.write_bytes(b"kept")
    assert store.encoded(jpeg, photo, masked(roi), 50) == b"kept" != data
    assert Store(None).encoded(jpeg, photo, masked(roi), 50) == data


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "vvenc:preset=faster"])
def test_two_streams_of_any_codec_leave_the_background_coarse(photos, name):
    photo = np.ascontiguousarray(photos["cat"][:192, :256])
    roi = np.zeros(photo.shape[:2], bool)
    roi[64:128, 64:160] = True
    base, _, rest = name.partition(":")
    two = build(f"{base}+two{':' + rest if rest else ''}", 0.1, "base")
    plain = build(name, 0.1, "base")
    setting = plain.settings[5]
    pictures = [
        c.decode(c.encode(photo, masked(roi), setting), *photo.shape[:2]) for c in (two, plain)
    ]
    inside, outside = (
        [psnr(photo, picture, where) for picture in pictures] for where in (roi, ~roi)
    )
    assert inside[0] > inside[1] - 1 and outside[0] < outside[1] - 2
    lowest = plain.settings[0]
    if base != "vvenc":  # has no coarser setting: one stream, and five bytes
        assert (
            len(two.encode(photo, masked(roi), lowest))
            == len(plain.encode(photo, masked(roi), lowest)) + 5
        )


def test_a_setting_that_is_given_twice_is_refused():
    for text in ("jpeg:at=30/50/30", "vcm:at=10/10.0"):
        with pytest.raises(SpecError, match="each setting once"):
            build(text, 0.1, "base")


def test_code_that_changes_while_it_measures_is_not_what_it_measures(monkeypatch, tiny_weights):
    codec = build("vcm", 0.1, str(tiny_weights))
    before = codec.key
    monkeypatch.setattr("vcm.evaluate.ours.digest_of", lambda *parts: "of another day")
    assert codec.key == before
    assert "of another day" in build("vcm", 0.1, str(tiny_weights)).key


def test_files_of_another_torch_are_others(monkeypatch, tiny_weights):
    before = build("vcm", 0.1, str(tiny_weights)).key
    monkeypatch.setattr("vcm.evaluate.ours.versions", lambda: {"torch": "of another day"})
    other = build("vcm", 0.1, str(tiny_weights)).key
    assert "of another day" in other != before
    monkeypatch.setattr("vcm.evaluate.ours.processor", lambda: "another machine")
    assert "another machine" in build("vcm", 0.1, str(tiny_weights)).key


@pytest.mark.parametrize("name", ["words.toml", "mask.py"])
def test_code_and_tables_of_the_words_are_in_the_keys(name, tmp_path, monkeypatch, tiny_weights):
    """In those of our files, and of what is measured on a picture."""
    folder = Path(roi.__file__).parent
    shutil.copytree(folder, tmp_path / "roi")
    monkeypatch.setattr(roi, "__file__", str(tmp_path / "roi" / "__init__.py"))

    def keys():
        digest_of.cache_clear()
        plan = Plan(find_task("coco-person"), "embedded", DataSet("", tmp_path, (), None, None), ())
        return plan.key, build("vcm", 0.1, str(tiny_weights)).key

    before = keys()
    assert keys() == before
    with (tmp_path / "roi" / name).open("a") as file:
        file.write("# changed")
    changed = keys()
    monkeypatch.undo()
    digest_of.cache_clear()
    assert changed[0] != before[0] and changed[1] != before[1]


def test_the_table_alone_says_which_codec_is_ours():
    assert [text for text in CODECS if is_ours(text)] == ["vcm"]
    assert is_ours("vcm:sigma=1:at=10/50") and not is_ours("x265+roi") and not is_ours("a.py:A")


def test_the_two_names_of_one_codec_are_one_in_the_cache():
    assert build("x265-420", 0.1, "base").key == build("x265", 0.1, "base").key
