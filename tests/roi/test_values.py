"""Words with values: what is found matters as much as its phrase says, up to the file."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from test_acquire import Colours, picture

from vcm import container, image, pipeline
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.codec.models.cva import qualities
from vcm.errors import ImageError, SpecError
from vcm.roi.acquire import acquire, look
from vcm.roi.mask import RoiMask
from vcm.roi.text import parse
from vcm.task import TaskSpec, find_task


def vcm(*arguments):
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments):
    done = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert done.exit_code == 2, done.output
    return done.stderr


def values_of(text, **options):
    """The mask values of the columns of `picture`: red, green, red and blue, dark red, black."""
    mask = acquire(picture(), parse(text), Colours(), **{"sigma": 0.125, **options})
    assert (mask.values == mask.values[0]).all()
    return mask.values[0].tolist()


def test_each_phrase_has_its_value_and_the_largest_counts():
    assert values_of("red: 0.5, green") == [0.5, 1, 0.5, 0.125, 0.125]
    assert values_of("red: 0.5, blue: 0.25") == [0.5, 0.125, 0.5, 0.125, 0.125]
    assert values_of("red: 0.25, blue: 0.5") == [0.25, 0.125, 0.5, 0.125, 0.125]


def test_exclusion_comes_last():
    assert values_of("red: 0.5, green: 0.25 -blue") == [0.5, 0.25, 0.125, 0.125, 0.125]


def test_dilation_grows_each_value_and_the_largest_counts():
    assert values_of("red: 0.5, green", dilation=1) == [1, 1, 1, 0.5, 0.125]


def test_values_under_sigma_are_said_and_are_sigma(caplog):
    assert values_of("red: 0.0625, green") == [0.125, 1, 0.125, 0.125, 0.125]
    assert "red: below sigma" in caplog.text


def test_what_was_found_is_kept_by_value():
    found = look(picture(), parse("red: 0.5, blue: 0.5, green"), Colours())
    assert list(found.levels) == [0.5, 1]
    np.testing.assert_array_equal(found.similarity, picture().max(2).astype(np.float32) / 255)


def test_where_nothing_is_found_all_is_coded_evenly(caplog):
    mask = acquire(np.zeros_like(picture()), parse("red: 0.5"), Colours(), sigma=0.1)
    assert mask.two_valued and mask.roi.all()


def test_a_task_keeps_its_values(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nversion = 1\ndescription = ""\nphrases = ["red", "green"]\n'
        "[values]\nred = 0.5\n"
    )
    assert find_task(tmp_path / "mine.toml").text == "red: 0.5, green"
    for values, message in (({"blue": 0.5}, "those of phrases"), ({"red": 2.0}, "values: red")):
        with pytest.raises(SpecError, match=message):
            TaskSpec("mine", 1, "", ("red", "green"), values=values)
    with pytest.raises(SpecError, match=r"values are in \[values\]"):
        TaskSpec("mine", 1, "", ("red: 0.5",))


@pytest.fixture
def photo(photos, tmp_path):
    image.write(tmp_path / "person.png", photos["person"])
    return tmp_path / "person.png"


def test_words_with_values_become_the_levels_of_a_file(photo, mapped_weights, tmp_path):
    words = "person: 0.5, book: 0.25"
    common = ("--weights", mapped_weights, "--json")
    told = json.loads(vcm("encode", photo, "--text", words, "-o", tmp_path / "a.vcm",
                          "--store-text", *common))  # fmt: skip
    assert told["roi"].startswith(words)
    said = json.loads(vcm("info", tmp_path / "a.vcm", "--json"))
    assert said["text"] == words and said["sections"]["map"] > 0
    wanted = qualities(*_tensors([0.5, 0.1])).flatten().tolist()
    best, *_, worst = (100 * level["quality"] for level in said["levels"])
    assert [best, worst] == pytest.approx(wanted, abs=2)  # sigma is float16
    assert sum(level["share"] for level in said["levels"]) == pytest.approx(1)
    assert "levels" in vcm("info", tmp_path / "a.vcm") and "quality" in vcm(
        "info", tmp_path / "a.vcm"
    )

    vcm("roi", photo, "--text", words, "-o", tmp_path / "sheet.png", "--save-mask",
        tmp_path / "mask.png")  # fmt: skip
    with Image.open(tmp_path / "mask.png") as saved:
        assert saved.mode == "I;16" and saved.size == (288, 288)
    vcm("encode", photo, "--mask", tmp_path / "mask.png", "--mask-values", "-o",
        tmp_path / "b.vcm", *common)  # fmt: skip
    a, b = (container.unpack((tmp_path / f"{n}.vcm").read_bytes()) for n in "ab")
    assert (a.z, a.y, a.map) == (b.z, b.y, b.map)

    drawn = json.loads(vcm("roi", tmp_path / "a.vcm", "-o", tmp_path / "map.png", "--json"))
    assert drawn["levels"] == said["levels"] and image.read(tmp_path / "map.png").ptp() > 200


def _tensors(values):
    return torch.tensor([5000]), torch.tensor(values).view(1, 1, 1, -1)


def test_a_file_without_a_map_says_so(photo, tiny_weights, tmp_path):
    vcm("encode", photo, "--box", "9,9,99,99", "-o", tmp_path / "a.vcm", "--weights", tiny_weights)
    said = json.loads(vcm("info", tmp_path / "a.vcm", "--json"))
    assert said["levels"] is None
    assert "has no map" in refused("roi", tmp_path / "a.vcm", "-o", tmp_path / "map.png")
    assert not (tmp_path / "map.png").exists()
    told = refused("roi", tmp_path / "a.vcm", "--text", "cat", "-o", tmp_path / "map.png")
    assert "leave the ROI's options out" in told


@pytest.mark.parametrize("bits", [8, 16])
def test_values_of_a_grey_picture(bits, tmp_path):
    most = 2**bits - 1
    grey = np.array([[0, most, most // 2, 1]]).astype(f"u{bits // 8}")
    image.write(tmp_path / "mask.png", grey)
    found = image.read_values(tmp_path / "mask.png", (1, 4))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], grey[0] / most, rtol=1e-6)
    with pytest.raises(ImageError, match="expected 3x1 pixels like the picture, got 4x1"):
        image.read_values(tmp_path / "mask.png", (1, 3))


def test_what_has_several_values_is_saved_with_all_its_bits(photo, tmp_path):
    for name in ("mask.jpg", "mask.bmp"):
        told = refused("roi", photo, "--text", "person: 0.5", "-o", tmp_path / "sheet.png",
                       "--save-mask", tmp_path / name)  # fmt: skip
        assert "saved as .png" in told and not (tmp_path / "sheet.png").exists()


def test_mask_values_without_a_mask_are_refused(photo, tmp_path):
    told = refused("encode", photo, "--text", "cat", "--mask-values", "-o", tmp_path / "a.vcm")
    assert "--mask-values says how --mask is read" in told


def test_less_than_one_weighs_less_in_the_file(photos, mapped_weights):
    """A value is not only told: what has less of it gets fewer bits."""
    codec, photo = Codec.load(mapped_weights), photos["person"]
    roi = np.zeros(photo.shape[:2], np.float32)
    sizes = []
    for value in (1, 0.5, 0.25):
        roi[64:224, 64:224] = value
        sizes.append(len(pipeline.encode(photo, RoiMask(roi, 0.1, "a box"), codec, quality=60)))
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]
