"""Strings and pictures of the codec, on a toy model: what must hold whatever the weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vcm.codec.codec import Codec
from vcm.codec.search import quality_for
from vcm.errors import SpecError

SIZES = [(1, 1), (7, 5), (16, 16), (33, 1000), (130, 67)]


def _picture(height, width, seed=0):
    torch.manual_seed(seed)
    x = torch.rand(1, 3, height, width)
    m = torch.where(torch.rand(1, 1, height, width) > 0.5, 1.0, 0.1)
    return x, m


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_decoder_gets_exactly_the_encoders_latent(tiny, height, width):
    x, m = _picture(height, width)
    latent = tiny.quantise(tiny.analyse(x, m), 37.5)
    y_hat = tiny.read(tiny.write(latent), latent.y_hat.shape[2:], 37.5)
    assert torch.equal(y_hat, latent.y_hat)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 70), st.integers(1, 70), st.floats(0, 100), st.integers(0, 9))
def test_any_size_and_quality_round_trips(tiny, height, width, quality, seed):
    x, m = _picture(height, width, seed)
    strings = tiny.compress(x, m, quality)
    x_hat = tiny.decompress(strings, height, width, quality)
    assert x_hat.shape == x.shape and x_hat.min() >= 0 and x_hat.max() <= 1
    assert torch.equal(x_hat, tiny.decompress(strings, height, width, quality))


def test_string_measures_its_estimate(tiny):
    x, m = _picture(256, 320)
    latent = tiny.quantise(tiny.analyse(x, m), 80)
    strings = tiny.write(latent)
    bits = 8 * (len(strings.z) + len(strings.y))
    assert tiny.bits(latent) <= bits + 1 <= tiny.bits(latent) * 1.01 + 800


def test_sigma_one_is_the_codec_without_a_mask(tiny):
    x, _ = _picture(64, 80)
    roi = torch.rand(1, 1, 64, 80) > 0.5
    with_mask = tiny.compress(x, torch.where(roi, 1.0, 1.0), 50)
    assert with_mask == tiny.compress(x, torch.ones(1, 1, 64, 80), 50)


def test_forward_and_strings_agree(tiny):
    """What training sees is what the file gives: forward's picture equals the decoded one."""
    x, m = _picture(64, 96)
    with torch.inference_mode():
        coded = tiny.model(x, m, torch.tensor([4200]))
    x_hat = tiny.decompress(tiny.compress(x, m, 42), 64, 96, 42)
    assert (coded.x_hat.clamp(0, 1) - x_hat).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("x", "m", "quality", "words"),
    [
        (torch.rand(3, 8, 8), torch.ones(1, 1, 8, 8), 50, "x: expected"),
        (torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 9), 50, "m: expected"),
        (torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8), 50, "m: expected values"),
        (torch.rand(1, 3, 8, 8), torch.full((1, 1, 8, 8), torch.nan), 50, "m: expected values"),
        (torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8), 100.5, "quality"),
        (torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8), float("nan"), "quality"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.ones(1, 1, 8, 8), 5, "floating"),
    ],
)
def test_wrong_arguments_are_named(tiny, x, m, quality, words):
    with pytest.raises(SpecError, match=words):
        tiny.compress(x, m, quality)


def test_example_in_the_docstring_holds(tiny):
    x = torch.rand(1, 3, 40, 50)
    strings = Codec.compress(tiny, x, torch.ones(1, 1, 40, 50), quality=50)
    assert tiny.decompress(strings, 40, 50, quality=50).shape == x.shape


def test_search_finds_the_size():
    assert abs(quality_for(lambda q: round(1000 + q * 90), 5_500) - 50) < 0.5
    with pytest.raises(SpecError, match="1000 to 10000 bytes"):
        quality_for(lambda q: round(1000 + q * 90), 20_000)
