"""The table of kinds, and the two halves of a model: whose a tensor is decides the fingerprint."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from vcm import pipeline, weightfile
from vcm.codec.api import KINDS, Codec, Kind, kind_of, load_codec
from vcm.codec.format.constants import PASSES
from vcm.codec.models import published
from vcm.codec.models.halves import outside
from vcm.codec.models.published import Preset
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.runtime import one_rate
from vcm.codec.runtime.weights import load, save
from vcm.errors import ModelError, SpecError
from vcm.roi.mask import RoiMask


@pytest.mark.parametrize("name", KINDS)
def test_all_that_a_kind_names_is_there(name):
    for field in ("net", "load", "step", "release"):
        assert callable(KINDS[name].imported(field)), field


def test_each_base_and_each_format_has_one_reader():
    bases = [base for kind in KINDS.values() for base in kind.bases]
    assert len(bases) == len(set(bases))
    for base in bases:
        assert base in kind_of(base).bases
    with pytest.raises(SpecError, match="expected one of tic, bmshj2018-hyperprior"):
        kind_of("nonesuch")
    readers: dict[str, str] = {}
    for kind in KINDS.values():
        for file_format in kind.formats:
            assert readers.setdefault(file_format, kind.load) == kind.load


def test_a_kind_of_ones_own_is_a_row(monkeypatch, tiny_weights, tmp_path):
    """What a new kind takes: the row, and what it names."""
    weights = load(tiny_weights)
    save(tmp_path / "w", weights.model, weights.tables, {})
    tensors, card = weightfile.read(tmp_path / "w", "vcm-codec-1")
    weightfile.write(tmp_path / "w", "mine-1", tensors, card)
    with pytest.raises(ModelError, match="expected vcm-codec-1 or vcm-encoder-1 weights, got mine"):
        load_codec(tmp_path / "w")
    row = KINDS["roi"]._replace(bases=("mine",), formats=("mine-1",), load=f"{__name__}:Mine")
    monkeypatch.setitem(KINDS, "mine", row)
    assert isinstance(row, Kind)
    assert load_codec(tmp_path / "w", side=24).told == ("cpu", None, 24)
    assert kind_of("mine") is row


class Mine:
    """A reader of weight files."""

    def __init__(self, path, *, device, bf16, side, mechanism):
        assert mechanism is None
        self.told = device, bf16, side


def _fingerprint(weights, path):
    save(path, weights.model, weights.tables, {})
    return weightfile.card_of(path)["fingerprint"]


def test_whatever_is_added_to_a_decoder_is_part_of_the_fingerprint(tiny_weights, tmp_path):
    weights = load(tiny_weights)
    before = weights.fingerprint.hex()
    assert _fingerprint(weights, tmp_path / "same") == before
    weights.model.encoder.added = nn.Conv2d(1, 1, 1)
    assert _fingerprint(weights, tmp_path / "encoder") == before
    seen = {before}
    for place, path in ((weights.model.decoder, "decoder"), (weights.model, "beside")):
        place.add_module(f"of_{path}", nn.Conv2d(1, 1, 1))
        seen.add(_fingerprint(weights, tmp_path / path))
        with pytest.raises(ModelError, match="do not fit their description"):
            load(tmp_path / path)  # and no model without it reads such a file
    assert len(seen) == 3


def test_the_names_of_tensors_in_files_are_those_of_version_1(tiny_weights):
    model = load(tiny_weights).model
    named = {name.split(".", 2)[1]: name.split(".")[0] for name, _ in model.named_parameters()}
    halves = {half: {k for k, h in named.items() if h == half} for half in ("encoder", "decoder")}
    assert halves["encoder"] == {"g_a", "lma", "gain", "h_a"}
    assert halves["decoder"] == {"g_s", "inverse_gain", "parameters_y"}
    state = model.state_dict()
    assert {name.split(".")[0] for name in state} == halves["encoder"] | halves["decoder"]
    assert {n.split(".")[0] for n in outside(model, model.encoder)} == halves["decoder"]
    other = nn.ModuleDict({"model": RoiHyperprior(model.sizes)})
    other.load_state_dict({f"model.{k}": v for k, v in state.items()})
    for name, value in other["model"].state_dict().items():
        assert torch.equal(value, state[name]), name


def test_two_halves_may_not_share_a_name(tiny_weights):
    model = load(tiny_weights).model
    model.decoder.gain = nn.Linear(1, 1)
    model.decoder.gain.log_gain = nn.Parameter(torch.zeros(1))
    with pytest.raises(AssertionError, match="both halves have a tensor gain.log_gain"):
        model.state_dict()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda codec: pickle.loads(pickle.dumps(codec))])
def test_a_copy_of_a_codec_makes_the_same_files(copied, tiny, photos):
    picture = np.ascontiguousarray(photos["cup"][:70, :90])
    even = RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "")
    again = copied(tiny)
    frozen, before = (
        [m.frozen() for m in codec.model.modules() if hasattr(m, "frozen")]
        for codec in (again, tiny)
    )
    assert len(frozen) == len(before) > PASSES and None not in frozen
    data = pipeline.encode(picture, even, again, quality=60)
    assert data == pipeline.encode(picture, even, tiny, quality=60)
    assert np.array_equal(pipeline.decode(data, tiny), pipeline.decode(data, again))


def test_a_published_codec_is_whole(tmp_path):
    torch.manual_seed(0)
    preset = Preset("bmshj2018-hyperprior", 8, 12)
    one_rate.save(tmp_path / "w", published.build(preset), preset, {})
    codec = Codec.load(tmp_path / "w")
    assert isinstance(codec, Codec) and not codec.any_rate and len(codec.fingerprint) == 8
    tensors, _ = weightfile.read(tmp_path / "w", one_rate.FORMAT)
    decoder = [k for k in tensors if not k.startswith(("g_a.", "h_a."))]
    assert codec.fingerprint.hex() == weightfile.digest(tensors, decoder)[:16]
    again = copy.deepcopy(codec)
    x, m = torch.rand(1, 3, 40, 50), torch.ones(1, 1, 40, 50)
    strings = codec.compress(x, m, 0)
    assert torch.equal(again.decompress(strings, 40, 50, 0), codec.decompress(strings, 40, 50, 0))
    with pytest.raises(SpecError, match="no tiles, bfloat16 or map"):
        Codec.load(tmp_path / "w", bf16=True)


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta"])
def test_a_device_that_is_none_is_refused(device, tiny_weights):
    with pytest.raises(SpecError, match="device"):
        Codec.load(tiny_weights, device=device)
