"""What the page shows of a photo, by the released model."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from vcm import image, pipeline
from vcm.codec.models import published
from vcm.codec.runtime import one_rate
from vcm.errors import BitstreamError, ImageError, SpecError, UnknownWord
from vcm.metrics.distortion import psnr
from vcm.vision.base import Objects
from vcm.web.pictures import MAX_PIXELS
from vcm.web.studio import Choice, Studio

CUP = Choice("cup", sigma=0.1, tau=0.5, quality=30)


@pytest.fixture(scope="module")
def studio():
    return Studio()


@pytest.fixture(scope="module")
def path(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "cup.png"
    image.write(path, photos["cup"])
    return path


def _silent(share, what):
    pass


@pytest.fixture(scope="module")
def compared(studio, path):
    return studio.compared(path, CUP, _silent)


def test_both_files_decode_to_the_pictures_shown(studio, compared):
    for coded in (compared.roi, compared.even):
        assert np.array_equal(pipeline.decode(coded.data, studio.codec), coded.picture)
        assert coded.numbers[1] == len(coded.data)
        assert coded.numbers[2] == pytest.approx(8 * len(coded.data) / (200 * 300))


def test_as_many_bytes_make_a_better_region_and_a_worse_rest(compared):
    assert len(compared.even.data) == pytest.approx(len(compared.roi.data), rel=0.03)
    (_, _, _, roi, rest, _), even = compared.roi.numbers, compared.even.numbers
    assert roi > even[3] + 0.5 and rest < even[4] - 3


def test_the_numbers_are_of_the_pictures(compared, photos):
    assert compared.roi.numbers[5] == psnr(photos["cup"], compared.roi.picture)


def test_every_picture_has_the_size_of_the_photo(compared, photos):
    shown = (compared.outlined, compared.heat, *compared.seen)
    assert {p.shape for p in shown} == {photos["cup"].shape}
    assert not np.array_equal(compared.outlined, photos["cup"])
    assert not np.array_equal(*compared.seen)


def test_the_heat_map_is_red_where_the_bits_are(studio, compared):
    bits = pipeline.bits_at(compared.roi.data, studio.codec)[:-1, :-1]  # whole squares
    warm = compared.heat[..., 0].astype(int) - compared.heat[..., 2]
    squares = [np.unravel_index(index, bits.shape) for index in (bits.argmax(), bits.argmin())]
    most, least = (warm[16 * r : 16 * r + 16, 16 * c : 16 * c + 16].mean() for r, c in squares)
    assert most > 0 > least


def test_progress_goes_forward(studio, path):
    told = []
    studio.compared(path, CUP, lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] == 0 and 0 < shares[-1] < 1
    assert len({what for _, what in told}) == len(told) >= 3


def test_a_size_is_met(studio, path):
    compared = studio.compared(path, Choice("cup", 0.1, 0.5, 0, size=4000), _silent)
    assert len(compared.roi.data) == pytest.approx(4000, rel=0.03)


def test_words_that_match_nothing_code_evenly_and_say_so(studio, path):
    compared = studio.compared(path, Choice("giraffe", 0.1, 0.98, 30), _silent)
    assert "match nothing" in compared.notes[0]
    assert np.isnan(compared.roi.numbers[4])  # there is no background


@pytest.mark.parametrize(
    ("choice", "error", "sentence"),
    [
        (Choice("cupp", 0.1, 0.5, 30), UnknownWord, "cupp"),
        (Choice("", 0.1, 0.5, 30), SpecError, "word"),
        (Choice("cup", 0, 0.5, 30), SpecError, "sigma"),
        (Choice("cup", 0.1, 1, 30), SpecError, "tau"),
        (Choice("cup", 0.1, 0.5, 101), SpecError, "quality"),
        (Choice("cup", 0.1, 0.5, 30, size=10), SpecError, "10"),
    ],
)
def test_a_wrong_choice_is_an_error_that_says_what(studio, path, choice, error, sentence):
    with pytest.raises(error, match=sentence):
        studio.compared(path, choice, _silent)


def test_a_huge_photo_is_refused(studio, tmp_path):
    side = int(MAX_PIXELS**0.5) + 1
    image.write(tmp_path / "huge.png", np.zeros((side, side, 3), np.uint8))
    with pytest.raises(ImageError, match="24 megapixels"):
        studio.compared(tmp_path / "huge.png", CUP, _silent)


def test_where_evenly_cannot_be_so_small_the_page_says_so(studio, path, compared):
    assert compared.times == 1 and "cannot be that small" not in " ".join(compared.notes)
    starved = studio.compared(path, Choice("cup", 0.01, 0.5, 0), _silent)
    times = len(starved.even.data) / len(starved.roi.data)
    assert starved.times == pytest.approx(times, abs=0.05) and times > 1.5
    assert f"it takes {starved.times:g} times the bytes" in starved.notes[-1]


class Busy:
    """A task model that sees nothing, slowly, and notes how many looked through it at once."""

    kind, names = "boxes", ("background",)

    def __init__(self):
        self.now, self.most = 0, 0

    def detect(self, picture):
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.5)
        self.now -= 1
        return Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def test_the_task_model_serves_one_visitor_at_a_time(studio, path, monkeypatch):
    busy = Busy()
    monkeypatch.setattr(studio, "_model", busy)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: studio.compared(path, CUP, _silent), range(2)))
    assert busy.most == 1


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_published_model_is_refused_at_once(tmp_path):
    preset = published.Preset("bmshj2018-hyperprior", N=8, M=12)
    path = tmp_path / "published.safetensors"
    one_rate.save(path, published.build(preset), preset, {"licence": "Apache-2.0"})
    with pytest.raises(SpecError, match="published model.*needs a model of ours"):
        Studio(str(path))


def test_a_file_is_opened(studio, compared):
    picture, described = studio.opened_file(compared.roi.data)
    assert np.array_equal(picture, compared.roi.picture)
    assert described["bytes"] == len(compared.roi.data)
    with pytest.raises(BitstreamError):
        studio.opened_file(compared.roi.data[:-1])


OFFERED = """
import sys
from pathlib import Path
from gradio.route_utils import delete_files_created_by_app
from vcm.web.page import page
from vcm.web.studio import Studio
folder = Path(sys.argv[1])
blocks = page(Studio(), folder)
delete_files_created_by_app(blocks, None)
print(len(list(folder.rglob("*.png"))))
"""


def test_the_photos_that_the_page_offers_outlive_uploads(tmp_path):
    """In a process of its own: gradio leaves an event loop behind."""
    pytest.importorskip("gradio", reason="needs: pip install 'vcm[web]'")
    environment = os.environ | {"GRADIO_TEMP_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", OFFERED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said without a GPU")
def test_the_page_takes_a_device():
    with pytest.raises(SpecError, match="device cuda: there are 0 CUDA devices"):
        Studio(device="cuda")
    assert Studio(device="auto").tau == Studio().tau
