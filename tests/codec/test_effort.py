"""The search for a better latent: fewer bits for the same picture, by files and pictures."""

import math

import numpy as np
import pytest
import torch

import vcm
from vcm.codec.api import Codec
from vcm.codec.format.control import Control
from vcm.codec.models.loss import LMBDA, distortion_weights, lmbda_of
from vcm.codec.runtime import effort
from vcm.codec.runtime.weights import ENCODER_KIND, TASK
from vcm.errors import SpecError
from vcm.roi.mask import RoiMask

pytestmark = pytest.mark.slow  # searches

QUALITY = 40


def cost(picture, mask, codec, steps):
    """Bits + lmbda * 255^2 * weighted squared error of a real file."""
    data = vcm.encode(picture, mask, codec, quality=QUALITY, effort=steps)
    error = np.square(picture.astype(np.float64) - vcm.decode(data, codec)).mean(2)
    weights = distortion_weights(torch.from_numpy(mask.values)[None, None])[0, 0].numpy()
    lmbda = float(lmbda_of(torch.tensor([100 * QUALITY]), *LMBDA))
    return 8 * len(data) + lmbda * float((error * weights).sum())


@pytest.fixture
def part(cat):
    """150x201: neither side is whole in pixels, latents or windows."""
    return np.ascontiguousarray(cat[60:210, 100:301])


@pytest.fixture
def left(part):
    inside = np.zeros(part.shape[:2], np.bool_)
    inside[:, :90] = True
    return RoiMask(inside, 0.2, "test")


def test_a_search_lowers_what_it_is_for(part, left, base):
    assert cost(part, left, base, 30) < 0.995 * cost(part, left, base, 0)


def test_windows_lower_it_as_well(part, left, base, monkeypatch):
    monkeypatch.setattr(effort, "WINDOW", 4)
    assert cost(part, left, base, 15) < 0.998 * cost(part, left, base, 0)


def test_a_search_that_fails_changes_nothing(part, left, base, monkeypatch):
    monkeypatch.setattr(effort, "RATE", 50.0)  # far beyond every better latent
    files = [vcm.encode(part, left, base, quality=QUALITY, effort=steps) for steps in (0, 1)]
    assert files[0] == files[1]


def test_the_same_search_gives_the_same_file(part, left, base):
    files = {vcm.encode(part, left, base, quality=QUALITY, effort=12) for _ in range(2)}
    assert len(files) == 1
    assert files != {vcm.encode(part, left, base, quality=QUALITY)}


def test_a_size_is_hit(part, left, base):
    assert len(vcm.encode(part, left, base, size=1_500, effort=10)) == pytest.approx(
        1_500, rel=0.03
    )


def test_rounding_is_random_by_the_odds_that_are_meant(base):
    search = effort.Search(base.model, base.encoder._precision, LMBDA, Control(40), 1)
    t = torch.full((200_000,), 3.2)
    rounded = search._rounded(t, tau := 0.4)
    assert rounded.min() >= 3
    assert rounded.max() <= 4
    odds = (math.atanh(0.2) - math.atanh(0.8)) / tau
    chance = 1 / (1 + math.exp(-odds))
    assert (rounded > 3.5).float().mean() == pytest.approx(chance, abs=0.005)


@pytest.mark.parametrize("steps", [-1, 10_001])
def test_efforts_beyond_reason_are_refused(steps, part, left, base):
    with pytest.raises(SpecError, match=f"0 to 10000 steps, got {steps}"):
        vcm.encode(part, left, base, quality=QUALITY, effort=steps)


@pytest.mark.parametrize("key", ["format", TASK])
def test_what_was_trained_for_a_task_is_not_searched_away(key, part, left, base, monkeypatch):
    monkeypatch.setitem(base.card, key, ENCODER_KIND)
    with pytest.raises(SpecError, match="not what this encoder was tuned for"):
        vcm.encode(part, left, base, quality=QUALITY, effort=5)


def test_the_search_sees_the_tables_that_code_the_file(cat, monkeypatch):
    """Also where transforms run in bfloat16, which holds none of the entropy networks' sums."""
    codec, seen = Codec.load(bf16=True), []
    real = codec.model.quantised

    def spied(y, z_hat, quality, quantise):
        def look(values, p):
            seen.append(p.rows)
            return quantise(values, p)

        return real(y, z_hat, quality, look)

    x = torch.from_numpy(cat[:128, :192].copy()).permute(2, 0, 1)[None]
    analysed = codec.encoder.analyse(x, torch.ones(1, 1, 128, 192))
    latent = codec.encoder.quantise(analysed, Control(QUALITY))
    rows = [torch.from_numpy(r) for _, r in latent.y_parts]
    monkeypatch.setattr(codec.model, "quantised", spied)
    monkeypatch.setattr(effort, "RATE", 0.0)  # the latent stays
    codec.compress(x, torch.ones(1, 1, 128, 192), QUALITY, effort=1)
    for coded, found in zip(rows, seen[-4:], strict=True):  # of the latent as it was
        assert torch.equal(coded, found.flatten().to(torch.uint8))
