"""What needs a CUDA device: coding on it, training on it; `tests/gpu.sh` runs all of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import vcm
from vcm import image
from vcm.codec.api import Codec
from vcm.codec.format.constants import PASSES
from vcm.codec.format.control import Control
from vcm.codec.nets.control import Controls
from vcm.metrics.distortion import psnr
from vcm.nn import RoiCodec
from vcm.roi.mask import RoiMask

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = "cuda"


@pytest.fixture(scope="module")
def codecs():
    """The released codec on the CPU and on the GPU."""
    return tuple(Codec.load(device=device, bf16=False) for device in ("cpu", DEVICE))


@pytest.fixture
def left(cat):
    inside = np.zeros(cat.shape[:2], np.bool_)
    inside[:, :200] = True
    return RoiMask(inside, 0.1, "test")


def test_entropy_networks_agree_bit_for_bit(codecs, rng):
    sizes = codecs[0].model.sizes
    z = torch.from_numpy(rng.integers(-15, 16, (1, sizes.Z, 3, 4))).float()
    known = torch.from_numpy(rng.integers(-127, 128, (1, sizes.M, 12, 16))).float()
    for number in range(PASSES):
        found = []
        for codec, device in zip(codecs, ("cpu", DEVICE), strict=True):
            networks = codec.model.decoder.parameters_y
            told = Controls.single(Control(30), device)
            features = networks.features(z.to(device), told, (12, 16))
            found.append(networks(number, features, told, known.to(device)))
        for here, there in zip(*found, strict=True):
            assert torch.equal(here, there.cpu())


@pytest.mark.parametrize("quality", [10, 50, 95])
@pytest.mark.parametrize("writer", [0, 1], ids=["by the CPU", "by the GPU"])
def test_a_file_of_one_is_read_by_the_other(writer, quality, codecs, cat, left):
    data = vcm.encode(cat, left, codecs[writer], quality=quality)
    pictures = [vcm.decode(data, codec).astype(int) for codec in codecs]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1  # of 255
    bits = [vcm.pipeline.bits_at(data, codec) for codec in codecs]
    assert np.array_equal(*bits)


def test_files_are_as_large_and_pictures_as_good(codecs, cat, left):
    files = [vcm.encode(cat, left, codec, quality=50) for codec in codecs]
    assert len(files[1]) == pytest.approx(len(files[0]), rel=0.002)
    here, there = (psnr(cat, vcm.decode(data, codecs[0])) for data in files)
    assert there == pytest.approx(here, abs=0.02)


def test_a_search_for_a_better_latent_runs(codecs, cat, left):
    plain, better = (
        vcm.encode(cat, left, codecs[1], quality=40, effort=steps) for steps in (0, 10)
    )
    assert len(better) < len(plain)
    assert vcm.decode(better, codecs[0]).shape == cat.shape


def test_the_module_goes_to_the_gpu_and_back(tiny_weights, seed):
    codec = RoiCodec.from_pretrained(tiny_weights)
    x = torch.rand(2, 3, 64, 96)
    here = codec.compress(x, quality=60)
    codec.to(DEVICE)
    there = codec.compress(x.to(DEVICE), quality=60)
    assert there["shape"] == here["shape"]
    x_hat = codec.decompress(**here)["x_hat"]
    assert x_hat.device.type == DEVICE
    codec.train()
    out = codec(x.to(DEVICE), quality=torch.tensor([20.0, 80.0]))
    (out["x_hat"].mean() - sum(t.log().mean() for t in out["likelihoods"].values())).backward()
    assert all(p.grad is not None for p in codec.model.parameters())
    back = codec.eval().cpu().decompress(**here)["x_hat"]
    assert (back - x_hat.cpu()).abs().max() <= 2 / 255


def test_the_command_line_codes_on_it(cat, tmp_path):
    image.write(tmp_path / "photo.png", cat)
    for command in (
        ["encode", "photo.png", "--box", "0,0,200,300", "-o", "photo.vcm"],
        ["decode", "photo.vcm", "-o", "decoded.png"],
    ):
        line = [sys.executable, "-m", "vcm", *command, "--device", DEVICE]
        subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    line = [sys.executable, "-m", "vcm", "decode", "photo.vcm", "-o", "here.png"]
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    here, there = (image.read(tmp_path / name).astype(int) for name in ("here.png", "decoded.png"))
    assert here.shape == cat.shape and psnr(cat, here.astype(np.uint8)) > 25
    assert (np.abs(here - there) <= 1).mean() > 0.999  # the GPU's is in bfloat16


def test_ten_steps_of_training(photos, tmp_path):
    (tmp_path / "photos").mkdir()
    for name, photo in photos.items():
        image.write(tmp_path / "photos" / f"{name}.png", photo)
    told = [
        "data.photos=photos", "data.crop=128", "data.batch=4", "data.held_out=1",
        "optim.steps=10", "run.folder=run", "run.log_every=1", "run.check_every=10",
    ]  # fmt: skip
    (tmp_path / "base.toml").touch()
    line = [sys.executable, "-m", "vcm", "train", "--config", "base.toml", *told]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (tmp_path / "run" / "log.jsonl").read_text()
    records = [json.loads(text) for text in log.splitlines()]
    assert [record["step"] for record in records] == list(range(1, 11))
    assert all(np.isfinite(record["loss"]) for record in records)
    release = ["release", "run/final.ckpt", "-o", "w.safetensors"]
    subprocess.run([sys.executable, "-m", "vcm", *release], cwd=tmp_path, check=True)
    assert Codec.load(tmp_path / "w.safetensors").any_rate
