"""`vcm.nn.RoiCodec` in other people's code: CompressAI's losses, optimisers and evaluation."""

import copy
import doctest
import math
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from compressai.losses import RateDistortionLoss
from compressai.optimizers import net_aux_optimizer

import vcm
import vcm.nn
from vcm import pipeline
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.transforms import Widths
from vcm.errors import BitstreamError, SpecError
from vcm.nn import RoiCodec
from vcm.roi.mask import RoiMask

SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16)
CONF = {"net": {"type": "Adam", "lr": 2e-3}, "aux": {"type": "Adam", "lr": 1e-3}}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture
def batch(cat):
    """x (4, 3, 64, 96) and m (4, 1, 64, 96): crops of a photo, their left half the ROI."""
    x = torch.from_numpy(cat.copy()).permute(2, 0, 1).float() / 255
    m = torch.full((4, 1, 64, 96), 0.1)
    m[..., :48] = 1
    return torch.stack([x[:, 40 * i : 40 * i + 64, 60 * i : 60 * i + 96] for i in range(4)]), m


def trained(codec, batch, steps, quality):
    """Losses of some steps, as a training loop of CompressAI makes them."""
    x, m = batch
    criterion, optimisers = RateDistortionLoss(lmbda=0.01), net_aux_optimizer(codec, CONF)
    losses = []
    codec.train()
    for _ in range(steps):
        for optimiser in optimisers.values():
            optimiser.zero_grad()
        out = criterion(codec(x, m, quality=quality), x)
        out["loss"].backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimisers["net"].step()
        codec.aux_loss().backward()
        optimisers["aux"].step()
        losses.append(out["loss"].item())
    return losses


def test_it_learns_by_compressais_losses_and_optimisers(batch, seed):
    codec = RoiCodec(SIZES)
    losses = trained(codec, batch, 25, torch.tensor([10.0, 40.0, 60.0, 90.0]))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_what_was_learnt_is_what_is_coded(tiny_weights, batch, cat, seed, tmp_path):
    """Fine-tuning changes the entropy networks of a released model, which were frozen."""
    codec = RoiCodec.from_pretrained(tiny_weights)
    before = {k: v.clone() for k, v in codec.model.state_dict().items()}
    x, m = batch
    estimate = codec(x, m, 60)["likelihoods"]["y"]
    trained(codec, batch, 3, 60)
    codec.eval()
    changed = {k for k, v in codec.model.state_dict().items() if not torch.equal(v, before[k])}
    assert {k for k in changed if k.startswith("parameters_y.")} == {
        k for k in before if k.startswith("parameters_y.")
    }
    assert not torch.equal(codec(x, m, 60)["likelihoods"]["y"], estimate)
    codec.save(tmp_path / "tuned.safetensors")
    again = RoiCodec.from_pretrained(tmp_path / "tuned.safetensors")
    kept, found = codec.half().float()(x, m, 60), again(x, m, 60)
    assert torch.equal(found["x_hat"], kept["x_hat"])
    for part in ("y", "z"):  # the prior of z is in the file
        assert torch.equal(found["likelihoods"][part], kept["likelihoods"][part]), part
    picture = cat[:70, :90].copy()
    even = RoiMask(torch.ones(70, 90, dtype=torch.bool).numpy(), 1.0, "")
    plain = vcm.Codec.load(tmp_path / "tuned.safetensors")
    assert pipeline.decode(pipeline.encode(picture, even, plain, quality=50), plain).shape == (
        70, 90, 3,
    )  # fmt: skip


def test_compressais_evaluation_takes_it(cat):
    """Its own code: odd sizes padded, real compress and decompress, lengths of all strings."""
    from compressai.ops import compute_padding
    from compressai.utils.eval_model.__main__ import inference, inference_entropy_estimation

    codec = RoiCodec.from_pretrained("base")
    x = torch.from_numpy(cat[:205, :301].copy()).permute(2, 0, 1).float() / 255
    real = inference(codec, x)
    padding, _ = compute_padding(205, 301, min_div=64)
    whole = torch.nn.functional.pad(x, padding)
    estimated = inference_entropy_estimation(codec, whole)
    assert real["psnr-rgb"] > 27
    bits = [out["bpp"] * pixels for out, pixels in ((real, 205 * 301), (estimated, 256 * 320))]
    assert bits[0] == pytest.approx(bits[1], rel=0.06)


def test_its_strings_are_those_of_the_codec(tiny_weights, cat, seed):
    codec, plain = RoiCodec.from_pretrained(tiny_weights), vcm.Codec.load(tiny_weights, bf16=False)
    x = torch.from_numpy(cat.copy()).permute(2, 0, 1)[None].float() / 255
    pictures = torch.cat([x[..., :70, :90], x[..., 30:100, 60:150]])
    m = torch.where(torch.rand(2, 1, 70, 90) > 0.5, 1.0, 0.1)
    out = codec.compress(pictures, m, quality=torch.tensor([30.25, 80.0]))
    assert out["shape"] == (70, 90)
    x_hat = codec.decompress(out["strings"], out["shape"])["x_hat"]
    for i, quality in enumerate((30.25, 80.0)):
        strings = plain.compress(pictures[i : i + 1], m[i : i + 1], quality)
        assert [s[i] for s in out["strings"]] == [strings.y, strings.z, out["strings"][2][i]]
        assert int.from_bytes(out["strings"][2][i], "little") == 100 * quality
        decoded = plain.decompress(strings, 70, 90, quality)
        assert torch.equal((x_hat[i : i + 1] * 255).round().byte(), decoded)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda codec: pickle.loads(pickle.dumps(codec))])
def test_copies_code_the_same(copied, tiny_weights, batch):
    codec = RoiCodec.from_pretrained(tiny_weights)
    again = copied(codec)
    out = again.compress(*batch)
    assert out == codec.compress(*batch)
    with torch.no_grad():
        again.model.decoder.parameters_y.h_s3.weight.mul_(0.5)
    assert torch.equal(*(c.decompress(**out)["x_hat"] for c in (codec, copied(codec))))
    assert codec.compress(*batch) == out  # the copy's parameters are its own


def test_tables_are_made_when_asked_for(batch, seed):
    codec = RoiCodec(SIZES).eval()
    with pytest.raises(SpecError, match=r"call update\(\)"):
        codec.compress(*batch)
    assert codec.update() and not codec.update() and codec.update(force=True)
    out = codec.compress(*batch, quality=90)
    bits = 8 * sum(len(s) for part in out["strings"][:2] for s in part)
    likelihoods = codec(*batch, quality=90)["likelihoods"].values()
    estimate = sum(t.log().sum().item() for t in likelihoods) / -math.log(2)
    assert bits == pytest.approx(estimate, rel=0.02, abs=4 * 128)
    assert codec.decompress(**out)["x_hat"].shape == batch[0].shape


def test_wrong_arguments_are_named(tiny_weights, batch):
    codec = RoiCodec.from_pretrained(tiny_weights)
    x, m = batch
    with pytest.raises(SpecError, match="multiples of 32"):
        codec(x[..., :50])
    for quality in (101, torch.tensor([50.0]), torch.tensor([1.0, 2.0, 3.0, float("nan")])):
        with pytest.raises(SpecError, match="quality"):
            codec(x, m, quality)
    out = codec.compress(x, m)
    for told in (b"", b"\xff\xff"):
        with pytest.raises(BitstreamError, match="quality"):
            codec.decompress([*out["strings"][:2], [told] * 4], out["shape"])
    with pytest.raises(BitstreamError):
        codec.decompress([out["strings"][1], *out["strings"][1:]], out["shape"])


def test_the_map_is_counted_and_learnt(seed):
    """Of a model with a map: the qualities are in the strings, and gains below 0 learn."""
    codec = RoiCodec(replace(SIZES, below=10)).train()
    x, m = torch.rand(2, 3, 64, 96), torch.full((2, 1, 64, 96), 0.05)
    m[..., :30, :40] = 1
    out = codec(x, m, 50)
    (out["x_hat"].square().mean() - out["likelihoods"]["y"].log2().mean()).backward()
    below = codec.model.decoder.inverse_gain.log_below.grad
    assert below is not None and below.abs().sum() > 0
    codec.eval().update()
    out = codec.compress(x, m, 50)
    flat = codec.compress(x, None, 50)
    assert [len(told) for told in flat["strings"][2]] == [2, 2]
    assert all(len(told) > 5 for told in out["strings"][2])
    assert codec.decompress(out["strings"], out["shape"])["x_hat"].shape == x.shape
    with pytest.raises(BitstreamError, match="truncated"):
        short = [told[:3] for told in out["strings"][2]]
        codec.decompress([*out["strings"][:2], short], out["shape"])


def test_its_examples_run_as_they_are_printed(tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)
    text = doctest.DocTestParser().get_doctest(vcm.nn.__doc__, {}, "vcm.nn", None, 0)
    assert text.examples and doctest.DocTestRunner().run(text).failed == 0
    page = Path(__file__).parents[1] / "docs" / "pages" / "concepts" / "architecture.md"
    (example,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    exec(example, {})
    assert vcm.Codec.load("mine.safetensors").any_rate
