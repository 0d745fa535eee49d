"""Parts of the training by themselves: health, gradients, the linear start, checks."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vcm.codec.format.levels import LevelMap
from vcm.codec.models.klt import start_from_klt
from vcm.codec.models.published import Outcome
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.transforms import Widths, to_blocks
from vcm.errors import ModelError
from vcm.train import optim
from vcm.train.check import check, finder
from vcm.train.config import Optim
from vcm.train.health import Health
from vcm.train.photos import Data, Photo, Photos, blocks

SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16)


def test_outliers_are_left_out_and_a_far_loss_is_counted(tmp_path):
    health = Health(str(tmp_path))
    assert health.allows(0, 1.0, 1.0) and health.allows(1, 2.9, 9.9) and not health.far
    assert not health.allows(2, 1.0, 10 * health.norm + 1)
    assert health.allows(3, 10.0, 1.0) and health.far == 1
    with pytest.raises(ModelError, match="loss is 7, usual is .*diverged"):
        health.allows(4, 7.0, float("nan"))


def test_a_picture_that_the_task_model_fails_at_stays_as_it_is(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pycocotools", None)  # masks cannot be packed
    picture = np.zeros((64, 64, 3), np.uint8)
    seen = finder(f"{Path(__file__).with_name('masked.py')}:Masked")
    assert seen is not None and seen(picture) is picture
    assert "pycocotools is not installed; get it with: pip install 'vcm[eval]'" in caplog.text


def test_a_gradient_far_beyond_the_usual_is_shrunk():
    layer = torch.nn.Linear(4, 4, bias=False)
    optimiser = optim.make(layer, Optim(lr=1e-9))
    for _ in range(20):
        layer.weight.grad = torch.ones(4, 4)
        optim.tame(optimiser)
        optimiser.step()
    for size, expected in (
        (1.4, 1.4),
        (5.0, 1.5),
        (100.0, 10.0),
    ):  # at most 1.5 times; not below a tenth
        layer.weight.grad = torch.full((4, 4), size)
        optim.tame(optimiser)
        assert layer.weight.grad[0, 0].item() == pytest.approx(expected, rel=1e-3)


def test_the_linear_start_is_a_transform_codec(cat):
    """With all 768 directions it gives the picture back; with fewer the closest there is."""
    picture = np.ascontiguousarray(cat[:256, :256])
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    some = blocks(Photos([Photo(picture, None)], Data()), 0, 4_000)
    errors = []
    for channels in (768, 64, 16):
        model = RoiHyperprior(replace(SIZES, M=channels))
        start_from_klt(model, some)
        u = to_blocks(x)
        coded = model.encoder.g_a.linear(u)
        errors.append((model.decoder.g_s.linear(coded) - u).square().mean().item())
    assert errors[0] < 1e-10 and 1e-6 < errors[1] < errors[2] < u.var().item() / 5


def test_checks_measure_the_roi_and_the_background():
    class Off(torch.nn.Module):
        """Gives back pictures that are a tenth too light inside, a hundredth outside."""

        qualities, task = (50,), None

        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def look(self, x, m, quality):
            return Outcome(x * 0.5 + torch.where(m == 1, 0.1, 0.01), torch.full((len(x),), 2.0))

        def level_map(self, m, quality):
            plane = np.where(m[0, 0, ::16, ::16] == 1, 5000, 1000)
            return None if m.min() == 1 else LevelMap.of(plane)

    dark = [Photo(np.zeros((80, 90, 3), np.uint8), None)] * 3
    for size in (1, 2, 8):
        record = check(Off(), dark, 64, size)
        assert record["q50_s0.1_psnr"] == pytest.approx(20) and record["q50_s0.1_bpp"] == 2
        assert record["q50_s0.1_bg"] == pytest.approx(40, abs=1e-3)
        assert record["q50_s0.1_levels"] == 2 and "q50_s1.0_levels" not in record
        assert 8 / 8200 < record["q50_s0.1_map"] < 100 / 8200  # of 2 bits for 4096 pixels
