"""LMA on published codecs: each learns, writes files and reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vcm import image, pipeline
from vcm.codec.api import KINDS, Codec
from vcm.codec.models import published
from vcm.codec.models.published import Preset
from vcm.errors import ModelError, SpecError
from vcm.roi.mask import RoiMask
from vcm.train import checkpoint
from vcm.train.config import Optim, Run, Training, load
from vcm.train.loop import train
from vcm.train.photos import Data
from vcm.train.release import release

BASES = [base for kind in KINDS.values() for base in kind.bases if base]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(3):  # nearly one picture, of a crop's size: losses of steps compare
        image.write(folder / f"{i}.png", photos["cat"][60:188, 80 + 4 * i : 208 + 4 * i])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
def test_it_learns_writes_and_reads(base, pictures, tmp_path, photos):
    config = Training(
        published=Preset(base, N=16, M=16 if base == "cheng2020-anchor" else 32, lmbda=0.05),
        data=Data(photos=str(pictures), crop=128, batch=2, whole=1, held_out=1),
        optim=Optim(steps=6, lr=1e-3, warmup=1),
        run=Run(folder=str(tmp_path), precision="fp32", log_every=3, check_every=6),
    )
    records = list(train(config))
    assert records[-1]["loss"] < records[0]["loss"]
    assert "q50_s0.1_bpp" in records[-1] and (tmp_path / "samples.png").is_file()
    release(tmp_path / "final.ckpt", tmp_path / "w.safetensors")
    codec = Codec.load(tmp_path / "w.safetensors")
    photo = photos["cup"][:70, :90]
    roi = RoiMask(np.ones(photo.shape[:2], np.bool_), 1.0, "")
    data = pipeline.encode(photo, roi, codec, quality=0)
    decoded = pipeline.decode(data, codec)
    assert decoded.shape == photo.shape and decoded.dtype == np.uint8
    x = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255
    pad = torch.nn.functional.pad(x, (0, 38, 0, 58), mode="replicate")
    state = checkpoint.load(tmp_path / "final.ckpt")["average"]
    net = published.build(config.published).eval()
    net.load_state_dict({k.removeprefix("model."): v for k, v in state.items()})
    net.update(force=True, update_quantiles=True)
    with torch.no_grad():  # CompressAI's own way, from the checkpoint
        coded = net.compress(torch.cat([pad, torch.ones_like(pad[:, :1])], 1))
        x_hat = net.decompress(coded["strings"], coded["shape"])["x_hat"]
    expected = (x_hat[0, :, :70, :90].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(expected, decoded)
    assert len(data) == pytest.approx(sum(len(s[0]) for s in coded["strings"]), abs=80)
    with pytest.raises(SpecError, match="one rate"):
        pipeline.encode(photo, roi, codec, size=2_000)


def test_the_mask_weighs_the_latent():
    torch.manual_seed(0)
    net = published.build(Preset("mbt2018-mean", 16, 24))
    x = torch.rand(1, 3, 64, 64)
    whole = torch.ones(1, 1, 64, 64)
    y0 = net.g_a.g_a(x)
    y = net.g_a(torch.cat([x, whole], 1))
    assert torch.allclose(y, y0 * torch.sigmoid(net.g_a.mask(whole)), atol=1e-6)  # R begins at 0
    assert (torch.sigmoid(net.g_a.mask(whole)) > 0.9).all()
    half = whole.clone()
    half[..., 32:] = 0.01
    loss = net(torch.cat([x, half], 1))["likelihoods"]["y"].log().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.g_a.mask.parameters())


def test_what_cannot_be(tmp_path, pictures):
    with pytest.raises(SpecError, match="expected one of tic"):
        Preset("elic")
    config = load(
        Path(__file__).resolve().parents[2] / "configs" / "tic.toml",
        [f"data.photos={pictures}", f"run.folder={tmp_path}"],
    )
    assert config.published.base == "tic" and config.published.N == 128
    (tmp_path / "x.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError):
        Codec.load(tmp_path / "x.safetensors")


def test_pretrained_weights_or_the_reason_why_not():
    try:
        net = published.build(Preset("bmshj2018-hyperprior", pretrained=1))
    except ModelError as error:
        assert "set pretrained = 0" in str(error) and "\n" not in str(error)
    else:
        assert net.M == 192
