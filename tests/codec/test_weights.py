"""Weight files: what is loaded is what was saved, or it is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import save as torch_save
from torch import zeros

from vcm import weightfile
from vcm.codec.api import Codec
from vcm.codec.models.loss import LMBDA
from vcm.codec.runtime.weights import load, save
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
    weights.model.encoder.h_a.conv1.weight.add_(0.5)  # an encoder tuned for a task
    save(tmp_path / "tuned", weights.model, weights.tables, {})
    assert load(tmp_path / "tuned").fingerprint == weights.fingerprint
    weights.model.decoder.g_s.head.weight.add_(0.5)
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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", '{"hyqer": 1}'),
        ("sizes", "{"),
        ("sizes", None),
        ("lmbda", "[1]"),
        ("lmbda", '"low"'),
    ],
)
def test_a_card_that_is_none_is_refused(tiny_weights, tmp_path, key, value):
    tensors, card = load_file(tiny_weights), weightfile.card_of(tiny_weights)
    card = {k: v for k, v in (card | {key: value}).items() if v is not None}
    save_file(tensors, tmp_path / "w", card)  # the digest is that of the tensors
    with pytest.raises(ModelError, match="do not fit their description"):
        load(tmp_path / "w")


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("parameters_y.h_s1.weight", (0, 0, 0, 0), float("nan")),
        ("parameters_y.h_s1.weight", (0, 0, 0, 0), 60_000),
        ("g_s.head.weight", (0, 0, 0, 0), float("inf")),
        ("tables.y.length", 30, 0),
        ("tables.y.length", 30, 1),
        ("tables.y.length", 30, 30_000),
        ("tables.y.cdf", (30, 0), 1),
        ("tables.y.cdf", (30, 2), 0),
        ("tables.z.cdf", (1, -1), 70_000),
        ("tables.y.offset", 30, 2**31 - 5),
    ],
)
def test_what_is_no_table_or_number_is_refused(tiny_weights, tmp_path, name, place, value):
    tensors, card = load_file(tiny_weights), weightfile.card_of(tiny_weights)
    tensors[name][place] = value
    weightfile.write(tmp_path / "w", "vcm-codec-1", tensors, card)  # with a digest that is right
    with pytest.raises(ModelError, match="do not fit their description"):
        load(tmp_path / "w")


def test_the_lambdas_of_the_training_travel_with_the_weights(tiny_weights, tmp_path):
    weights = load(tiny_weights)
    assert weights.lmbda == LMBDA
    save(tmp_path / "w", weights.model, weights.tables, {"lmbda": "[0.002, 0.03]"})
    assert load(tmp_path / "w").lmbda == (0.002, 0.03)


@pytest.mark.parametrize("cut", [0, 7, 100, 5000, -1])
def test_truncated_file_is_refused(tiny_weights, tmp_path, cut):
    (tmp_path / "cut").write_bytes(tiny_weights.read_bytes()[:cut])
    with pytest.raises(ModelError, match="not a weight file"):
        load(tmp_path / "cut")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file.*built in"):
        weightfile.find("nonesuch")
    save_file({"a": zeros(1)}, tmp_path / "alien.safetensors")
    with pytest.raises(ModelError, match="expected vcm-codec-1 or"):
        Codec.load(tmp_path / "alien.safetensors")


def test_a_checkpoint_is_told_how_it_becomes_a_weight_file(tmp_path):
    torch_save({"model": zeros(1)}, tmp_path / "final.ckpt")
    with pytest.raises(
        ModelError, match=r"a checkpoint, not a weight file; .*`vcm release .*final"
    ):
        load(tmp_path / "final.ckpt")
