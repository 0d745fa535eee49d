"""One file, the same symbols everywhere: threads, instruction sets, libraries, layouts, batches."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from vcm import bitstream, pipeline
from vcm.codec.codec import Codec
from vcm.codec.entropy import PASSES
from vcm.codec.latent import Strings
from vcm.codec.lma import mask_level
from vcm.codec.model import STRIDE, Quality
from vcm.codec.tiles import HYPER_HALO
from vcm.codec.transforms import to_blocks
from vcm.codec.weights import load
from vcm.roi.mask import RoiMask

# Decodes photo.vcm with the released weights; saves the latent and the picture.
CHILD = """
import sys, numpy as np, torch
from vcm import bitstream
from vcm.codec.codec import Codec
from vcm.codec.latent import Strings
torch.backends.mkldnn.set_flags("onednn-off" not in sys.argv)
stream = bitstream.unpack(open("photo.vcm", "rb").read())
h = stream.header
codec = Codec.load()
strings = Strings(stream.z, stream.y)
y_hat = codec.decoder.read(strings, h.height, h.width, h.quality / 100, h.tile)
x_hat = codec.decoder.render(y_hat, h.height, h.width, h.quality / 100)
np.savez("out.npz", y_hat=y_hat.numpy(), x_hat=x_hat.numpy())
"""
MACHINES = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "4 threads": {"OMP_NUM_THREADS": "4"},
    "no vector instructions": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "AVX512 with VNNI": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    "oneDNN off": {},
}


@pytest.fixture(scope="module")
def codec():
    return Codec.load()


@pytest.fixture(scope="module")
def file(photos, codec):
    """A photo coded for a part of it at a quality with large and small latents."""
    photo = photos["person"][:200, :250]
    roi = np.zeros(photo.shape[:2], np.bool_)
    roi[40:160, 60:200] = True
    return pipeline.encode(
        np.ascontiguousarray(photo), RoiMask(roi, 0.1, "test"), codec, quality=80
    )


@pytest.mark.parametrize("name", MACHINES)
def test_processes_of_other_machines_agree(name, file, codec, tmp_path):
    (tmp_path / "photo.vcm").write_bytes(file)
    arguments = [sys.executable, "-c", CHILD, *(["onednn-off"] if name == "oneDNN off" else [])]
    environment = os.environ | MACHINES[name]
    subprocess.run(arguments, cwd=tmp_path, env=environment, check=True, capture_output=True)
    stream = bitstream.unpack(file)
    h = stream.header
    size = h.height, h.width
    strings = Strings(stream.z, stream.y)
    y_hat = codec.decoder.read(strings, *size, h.quality / 100, h.tile)
    there = np.load(tmp_path / "out.npz")
    assert np.array_equal(there["y_hat"], y_hat.numpy())
    x_hat = codec.decoder.render(y_hat, *size, h.quality / 100).numpy()
    assert np.abs(there["x_hat"].astype(int) - x_hat.astype(int)).max() <= 1


@pytest.mark.parametrize("quality", [5, 50, 95])
def test_bfloat16_gives_the_same_picture_within_rounding(quality, cat):
    fast, plain = (Codec(load(), bf16=flag) for flag in (True, False))
    x = torch.from_numpy(cat).permute(2, 0, 1)[None]
    strings = plain.compress(x, torch.ones(1, 1, *cat.shape[:2]), quality)
    pictures = [c.decompress(strings, *cat.shape[:2], quality).int() for c in (fast, plain)]
    assert (pictures[0] - pictures[1]).abs().max() <= 1


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layouts_and_batches_agree(layout, codec, rng):
    networks, sizes = codec.model.parameters_y, codec.model.sizes
    z = torch.from_numpy(rng.integers(-15, 16, (3, sizes.Z, 3, 4))).float()
    known = torch.from_numpy(rng.integers(-127, 128, (3, sizes.M, 12, 16))).float()
    level = torch.tensor([0.0, 131.0, 255.0])
    for number in range(PASSES):
        features = networks.features(z.contiguous(memory_format=layout), level, (12, 16))
        together = networks(number, features, level, known.contiguous(memory_format=layout))
        for i in range(3):
            one = slice(i, i + 1)
            alone = networks.features(z[one].contiguous(), level[one], (12, 16))
            single = networks(number, alone, level[one], known[one].contiguous())
            for a, b in zip(single, together, strict=True):
                assert torch.equal(a, b[one])
            assert (single.rows == single.rows.round()).all()


def test_double_precision_agrees(codec, rng):
    """No sum is rounded: float64 gives the same integers."""
    networks, sizes = codec.model.parameters_y, codec.model.sizes
    z = torch.from_numpy(rng.integers(-15, 16, (1, sizes.Z, 3, 4))).float()
    known = torch.from_numpy(rng.integers(-127, 128, (1, sizes.M, 12, 16))).float()
    level = torch.tensor([77.0])
    features = networks.features(z, level, (12, 16))
    for module in networks.modules():
        if hasattr(module, "_frozen"):
            weight, bias, scale = module._frozen
            a = torch.randint(-255, 256, (1, weight.shape[1] * module.groups, 8, 8)).float()
            exact = torch.nn.functional.conv2d(
                a.double(), weight.double(), padding=module.padding, groups=module.groups
            )
            exact = (exact + bias.double()[:, None, None]) / scale.double()[:, None, None]
            assert torch.equal(module(a).double(), exact)
    assert networks(1, features, level, known).means.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees(codec, rng):
    networks, sizes = codec.model.parameters_y, codec.model.sizes
    z = torch.from_numpy(rng.integers(-15, 16, (1, sizes.Z, 3, 4))).float()
    known = torch.from_numpy(rng.integers(-127, 128, (1, sizes.M, 12, 16))).float()
    level = torch.tensor([77.0])
    for number in range(PASSES):
        here = networks(number, networks.features(z, level, (12, 16)), level, known)
        there = networks.cuda()
        features = there.features(z.cuda(), level.cuda(), (12, 16))
        for a, b in zip(here, there(number, features, level.cuda(), known.cuda()), strict=True):
            assert torch.equal(a, b.cpu())
        networks.cpu()


def test_no_network_reaches_beyond_its_halo(codec):
    """What lies farther away than the halo changes nothing: so tiles leave no seam."""
    model, quality = codec.model, Quality.single(50)
    torch.manual_seed(0)
    y = torch.randn(1, model.sizes.M, 32, 32)

    def changed(t: Tensor, halo: int, unit: int = 1) -> Tensor:
        """With other columns where position 16 must not see them."""
        beside = torch.arange(t.shape[-1]) > (16 + halo + 1) * unit - 1
        return torch.where(beside, 1 - t, t)

    near = changed(y, model.sizes.synthesis_reach)
    pictures = [model.synthesise(t, quality) for t in (y, near)]
    assert torch.equal(*(p[..., : 17 * 2] for p in pictures))
    x = torch.rand(1, 3, 32 * STRIDE, 32 * STRIDE)
    far = changed(x, model.sizes.analysis_reach, STRIDE)
    level = mask_level(torch.ones(1, 1, *x.shape[2:]))
    latents = [model.modulate(*model.g_a(to_blocks(t)), level, quality) for t in (x, far)]
    assert torch.equal(*(t[..., :17] for t in latents))
    codes = [model.h_a(t) for t in (y, changed(y, HYPER_HALO))]
    assert torch.equal(*(t[..., :4] for t in codes))  # z at 16 stands for columns 16 to 19
