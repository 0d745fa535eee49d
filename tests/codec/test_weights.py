"""Weight files: what is loaded is what was saved, or it is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import zeros

from vcm.codec.codec import Codec
from vcm.codec.weights import find, load, save
from vcm.errors import ModelError


def test_saved_again_it_is_the_same_model(tiny_weights, tmp_path):
    weights = load(tiny_weights)
    save(tmp_path / "again", weights.model, weights.tables, {"licence": "Apache-2.0"})
    again = load(tmp_path / "again")
    assert again.card == weights.card and again.fingerprint == weights.fingerprint
    assert again.card["fingerprint"] == again.fingerprint.hex()
    for name, value in weights.model.state_dict().items():
        assert value.equal(again.model.state_dict()[name])


def test_fingerprint_names_the_decoder_only(tiny_weights, tmp_path):
    weights = load(tiny_weights)
    weights.model.h_a.conv1.weight.add_(0.5)  # an encoder tuned for a task
    save(tmp_path / "tuned", weights.model, weights.tables, {})
    assert load(tmp_path / "tuned").fingerprint == weights.fingerprint
    weights.model.g_s.head.weight.add_(0.5)
    save(tmp_path / "other", weights.model, weights.tables, {})
    assert load(tmp_path / "other").fingerprint != weights.fingerprint


@settings(deadline=None, max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_without_effect(tiny_weights, tmp_path_factory, place, bit):
    data = bytearray(tiny_weights.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "w"
    path.write_bytes(data)
    try:
        weights = load(path)
    except ModelError:
        return
    # only the card's free text, or padding, can be changed unseen
    original = load(tiny_weights)
    assert weights.fingerprint == original.fingerprint
    for name, value in original.model.state_dict().items():
        assert value.equal(weights.model.state_dict()[name])


@pytest.mark.parametrize("cut", [0, 7, 100, 5000, -1])
def test_truncated_file_is_refused(tiny_weights, tmp_path, cut):
    (tmp_path / "cut").write_bytes(tiny_weights.read_bytes()[:cut])
    with pytest.raises(ModelError, match="not a weight file"):
        load(tmp_path / "cut")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file.*built in"):
        find("nonesuch")
    save_file({"a": zeros(1)}, tmp_path / "alien.safetensors")
    with pytest.raises(ModelError, match="expected vcm-codec-1 or"):
        Codec.load(tmp_path / "alien.safetensors")
