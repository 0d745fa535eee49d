"""One file, the same symbols everywhere: threads, instruction sets, libraries, layouts, batches."""

import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from vcm import container, pipeline
from vcm.codec.api import Codec
from vcm.codec.format.constants import MEAN_UNIT, PASSES, STRIDE, latent_size
from vcm.codec.format.control import Control
from vcm.codec.format.cva import MARGIN
from vcm.codec.format.strings import strings_of
from vcm.codec.format.tiles import HYPER_HALO
from vcm.codec.nets.control import Controls
from vcm.codec.nets.int8 import is_exact
from vcm.codec.nets.integer import SIGNED_ZERO, IntConv2d
from vcm.codec.nets.lma import grown, mask_level
from vcm.codec.nets.transforms import to_blocks
from vcm.roi.mask import RoiMask

pytestmark = pytest.mark.slow  # processes of many kinds

# Decodes the files with the released weights; saves latents, pictures and what it really ran with.
CHILD = """
import sys, numpy as np, torch
from vcm import container
from vcm.codec.nets import integer
from vcm.codec.api import Codec
from vcm.codec.format.strings import strings_of
from vcm.codec.format.constants import latent_size
from vcm.codec.format.control import Control
from vcm.codec.nets.control import Controls
torch.set_num_threads(int(sys.argv[1]))
if sys.argv[2] == "floats":
    torch.backends.mkldnn.set_flags(False)
    integer.is_exact = lambda: False
codec = Codec.load()
out = {
    "torch": torch.__version__,
    "threads": torch.get_num_threads(),
    "capability": torch.backends.cpu.get_cpu_capability(),
    "onednn": torch.backends.mkldnn.enabled,
    "bytes": integer.is_exact(),
}
for name in ("whole", "tiled"):
    stream = container.unpack(open(f"{name}.vcm", "rb").read())
    h = stream.header
    size, strings, told = (h.height, h.width), strings_of(stream), Control(h.quality / 100)
    with torch.inference_mode():  # by the decoder a failed reading would be tried once more
        y_hat = codec.latents.read(strings, *latent_size(*size), Controls.single(told), h.tile)
    x_hat = codec.decoder.render(y_hat, *size, told)
    out |= {f"{name}.y_hat": y_hat.numpy(), f"{name}.x_hat": x_hat.numpy()}
np.savez("out.npz", **out)
"""


class Machine(NamedTuple):
    """A process that decodes as other machines do.

    Attributes:
        threads: that it computes with.
        capability: the instructions of torch's own kernels, None: all that there are.
        isa: the instructions of oneDNN's, None: all that there are.
        kernels: "bytes" where these instructions add them up exactly, or "floats" without oneDNN.
    """

    threads: int = 1
    capability: str | None = None
    isa: str | None = None
    kernels: str = "bytes"


MACHINES = {
    "1 thread": Machine(),
    "2 threads": Machine(2),
    "4 threads": Machine(4),
    "no vector instructions": Machine(1, "DEFAULT", "SSE41"),
    "AVX2": Machine(1, "AVX2", "AVX2"),
    "AVX512": Machine(1, "AVX512", "AVX512_CORE"),
    "AVX512 with VNNI": Machine(1, "AVX512", "AVX512_CORE_VNNI"),
    "oneDNN off": Machine(kernels="floats"),
}
BELOW = {"AVX512": ("DEFAULT", "AVX2", "AVX512"), "AVX2": ("DEFAULT", "AVX2")}  # what it can do too
LAYOUTS = [torch.contiguous_format, torch.channels_last]
PHOTOS = ["cat", "person", "cup"]


@pytest.fixture(scope="module")
def codec(base):
    return base


@pytest.fixture(scope="module")
def plain():
    return Codec.load(bf16=False)


@pytest.fixture(scope="module")
def files(photos, codec):
    """Photos coded for a part of them: qualities with large and with small latents, one of 2 x 2
    tiles."""
    whole = np.ascontiguousarray(photos["person"][:200, :250])
    tiled = np.concatenate([photos["cat"], photos["cat"][::-1]])
    found = {}
    for name, photo, quality, coder in (
        ("whole", whole, 80, codec),
        ("tiled", tiled, 40, Codec.load(side=24)),
    ):
        roi = np.zeros(photo.shape[:2], np.bool_)
        roi[60:-60, 50:-50] = True
        found[name] = pipeline.encode(photo, RoiMask(roi, 0.1, "test"), coder, quality=quality)
    assert container.unpack(found["tiled"]).header.tile == 24
    return found


@pytest.fixture(scope="module")
def decoded(files, codec):
    """Latents and pictures of this process, by the names that a child has for them."""
    found = {}
    for name, data in files.items():
        stream = container.unpack(data)
        h = stream.header
        size, strings = (h.height, h.width), strings_of(stream)
        told = Control(h.quality / 100)
        with torch.inference_mode():
            q, (h16, w16) = Controls.single(told), latent_size(*size)
            y_hat = codec.latents.read(strings, h16, w16, q, h.tile)
        x_hat = codec.decoder.render(y_hat, *size, told)
        found |= {f"{name}.y_hat": y_hat.numpy(), f"{name}.x_hat": x_hat.numpy()}
    return found


def decoded_by(python, machine, files, folder):
    """What a child saves."""
    for name, data in files.items():
        (folder / f"{name}.vcm").write_bytes(data)
    environment = dict(os.environ)
    if machine.capability:
        environment["ATEN_CPU_CAPABILITY"] = machine.capability.lower()
    if machine.isa:
        environment["ONEDNN_MAX_CPU_ISA"] = machine.isa
    arguments = [python, "-c", CHILD, str(machine.threads), machine.kernels]
    subprocess.run(arguments, cwd=folder, env=environment, check=True, capture_output=True)
    return np.load(folder / "out.npz")


def check_equal(there, here):
    """The same latents; pictures within what bfloat16 rounds: 1, and 2 where sigma is small."""
    for name, value in here.items():
        if name.endswith("y_hat"):
            assert np.array_equal(there[name], value), name
        else:
            apart = np.abs(there[name].astype(int) - value.astype(int))
            assert apart.max() <= 2, name
            assert (apart > 1).mean() < 1e-3, name


@pytest.mark.parametrize("name", MACHINES)
def test_processes_of_other_machines_agree(name, files, decoded, tmp_path):
    machine, here = MACHINES[name], torch.backends.cpu.get_cpu_capability()
    if machine.capability and machine.capability not in BELOW.get(here, ()):
        pytest.skip(f"this processor has no {machine.capability}")
    if machine.isa == "AVX512_CORE_VNNI" and not is_exact():
        pytest.skip("this processor has no VNNI")
    there = decoded_by(sys.executable, machine, files, tmp_path)
    assert there["threads"] == machine.threads
    assert there["capability"] == (machine.capability or here)
    assert there["onednn"] == (machine.kernels == "bytes")
    exact = is_exact() and machine.isa in (None, "AVX512_CORE_VNNI")
    assert there["bytes"] == (exact and machine.kernels == "bytes")
    check_equal(there, decoded)


@pytest.mark.skipif("VCM_OTHER_PYTHON" not in os.environ, reason="set VCM_OTHER_PYTHON")
def test_another_torch_agrees(files, decoded, tmp_path):
    """VCM_OTHER_PYTHON: the interpreter of an environment with vcm and another version of torch."""
    there = decoded_by(os.environ["VCM_OTHER_PYTHON"], Machine(), files, tmp_path)
    assert str(there["torch"]) != torch.__version__
    check_equal(there, decoded)


@pytest.mark.parametrize("quality", [5, 50, 95])
@pytest.mark.parametrize("name", PHOTOS)
def test_bfloat16_gives_the_same_picture_within_rounding(name, quality, plain, photos):
    x, fast = pixels(photos[name]), Codec.load(bf16=True)
    size = x.shape[2:]
    strings = plain.compress(x, torch.ones(1, 1, *size), quality)
    pictures = [c.decompress(strings, *size, quality).int() for c in (fast, plain)]
    assert (pictures[0] - pictures[1]).abs().max() <= 1


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("quality", [20, 90])
def test_tiles_leave_no_seam_in_photos(quality, bf16, cat):
    """Tiles of any side give the picture; tiles that files may have give the symbols too."""
    x = pixels(cat)
    size = x.shape[2:]
    whole, coded, shown = (Codec.load(side=side, bf16=bf16) for side in (0, 24, 8))
    analysed = whole.encoder.analyse(x, torch.ones(1, 1, *size))
    latent, parts = (c.encoder.quantise(analysed, Control(quality)) for c in (whole, coded))
    assert len(parts.y_parts) == 2 * len(latent.y_parts)
    assert torch.equal(latent.y_hat, parts.y_hat)
    told = Control(quality)
    pictures = [c.decoder.render(latent.y_hat, *size, told).int() for c in (whole, shown)]
    assert (pictures[0] - pictures[1]).abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(80, 7), (160, 30), (300, 20), (451, 64), (20, 300)])
def test_narrow_pictures(height, width, cat):
    """By AMX, strided convolutions in bfloat16 leave garbage in results of one column."""
    x = pixels(np.ascontiguousarray(cat.transpose(1, 0, 2)[:height, :width]))
    m, latents = torch.ones(1, 1, *x.shape[2:]), []
    for bf16 in (True, True, False):
        codec = Codec.load(bf16=bf16)
        strings = codec.compress(x, m, 50)
        latents.append(codec.decoder.read(strings, *x.shape[2:], Control(50), 0))
    assert torch.equal(latents[0], latents[1])
    assert (latents[0] != latents[2]).float().mean() < 0.01


@pytest.mark.parametrize("quality", [20, 90])
def test_tiles_of_the_encoder_leave_no_seam_in_photos(quality, cat):
    """g_a's tiles agree within rounding: a few symbols in ten thousand fall to the other side."""
    x, (height, width) = pixels(cat), cat.shape[:2]
    m = torch.full((1, 1, height, width), 0.1)
    m[..., 60:200, 90:333] = 1
    whole, tiled = (Codec.load(side=side, bf16=False) for side in (0, 24))
    latents = [
        c.decoder.read(c.compress(x, m, quality), height, width, Control(quality), side)
        for c, side in ((whole, 0), (tiled, 24))
    ]
    assert (latents[0] != latents[1]).float().mean() < 1e-3


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stored", ["bytes", "floats"])
def test_layouts_and_batches_agree(stored, layout, codec, rng):
    """Bytes are what the codec uses; all is compared with floats, picture by picture."""
    networks, sizes = codec.model.decoder.parameters_y, codec.model.sizes
    z = torch.from_numpy(rng.integers(-15, 16, (3, sizes.Z, 3, 4))).float()
    known = torch.from_numpy(rng.integers(-127, 128, (3, sizes.M, 12, 16))).float()
    told = Controls.of(torch.tensor([0, 5137, 10_000]))
    given = z, known
    if stored == "bytes":
        given = z.to(torch.int8), (known + SIGNED_ZERO).to(torch.uint8)
    z_given, known_given = (t.contiguous(memory_format=layout) for t in given)
    features = networks.features(z_given, told, (12, 16))
    assert features.dtype == known_given.dtype
    for number in range(PASSES):
        together = networks(number, features, told, known_given)
        for i in range(3):
            one = slice(i, i + 1)
            own = Controls(*(t[one] for t in told))
            alone = networks.features(z[one].contiguous(), own, (12, 16))
            single = networks(number, alone, own, known[one].contiguous())
            for a, b in zip(single, together, strict=True):
                assert torch.equal(a, b[one])
            assert (single.rows == single.rows.round()).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bf16", [False, True])
def test_pictures_of_a_batch_agree(bf16, layout, plain, photos):
    qualities, size = (5, 50, 95), (192, 272)
    y_hat = []
    for name, quality in zip(PHOTOS, qualities, strict=True):
        x = pixels(photos[name])[..., : size[0], : size[1]]
        strings = plain.compress(x, torch.ones(1, 1, *size), quality)
        y_hat.append(plain.decoder.read(strings, *size, Control(quality), side=0) / MEAN_UNIT)
    batch = torch.cat(y_hat).contiguous(memory_format=layout)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        together = plain.model.decoder.synthesise(batch, Controls.of(100 * torch.tensor(qualities)))
        single = [
            plain.model.decoder.synthesise(y, Controls.single(Control(quality)))
            for y, quality in zip(y_hat, qualities, strict=True)
        ]
    levels = [(255 * u + 127.5).clamp(0, 255).round() for u in (together, torch.cat(single))]
    assert (levels[0] - levels[1]).abs().max() <= 1


def pixels(photo):
    """(1, 3, H, W) uint8."""
    return torch.from_numpy(photo).permute(2, 0, 1)[None]


def test_double_precision_agrees(codec, rng):
    """No sum is rounded: float64 gives the same integers."""
    networks, sizes = codec.model.decoder.parameters_y, codec.model.sizes
    layers = [module for module in networks.modules() if isinstance(module, IntConv2d)]
    assert len(layers) == 3 + 3 + 4 + 4
    for layer in layers:
        weight, bias, scale = layer.frozen().integers
        a = torch.randint(-255, 256, (1, weight.shape[1] * layer.groups, 8, 8)).float()
        exact = torch.nn.functional.conv2d(
            a.double(), weight.double(), padding=layer.padding, groups=layer.groups
        )
        exact = (exact + bias.double()[:, None, None]) / scale.double()[:, None, None]
        assert torch.equal(layer(a).double(), exact)
    z = torch.from_numpy(rng.integers(-15, 16, (1, sizes.Z, 3, 4))).float()
    known = torch.from_numpy(rng.integers(-127, 128, (1, sizes.M, 12, 16))).float()
    told = Controls.single(Control(30))
    features = networks.features(z, told, (12, 16))
    assert networks(1, features, told, known).means.isfinite().all()


def test_no_network_reaches_beyond_its_halo(codec):
    """What lies farther away than the halo changes nothing: so tiles leave no seam."""
    model, quality = codec.model, Controls.single(Control(50))
    torch.manual_seed(0)
    y = torch.randn(1, model.sizes.M, 32, 32)

    def changed(t: Tensor, halo: int, unit: int = 1) -> Tensor:
        """With other columns where position 16 must not see them."""
        beside = torch.arange(t.shape[-1]) > (16 + halo + 1) * unit - 1
        return torch.where(beside, 1 - t, t)

    near = changed(y, model.sizes.synthesis_reach)
    pictures = [model.decoder.synthesise(t, quality) for t in (y, near)]
    assert torch.equal(*(p[..., : 17 * 2] for p in pictures))
    x, m = (torch.rand(1, c, 32 * STRIDE, 32 * STRIDE).clamp(min=0.01) for c in (3, 1))
    pairs = [(x, m), (changed(x, halo := model.sizes.analysis_reach, STRIDE), m)]
    pairs.append((x, changed(m, halo, STRIDE).clamp(min=0.01)))  # what LMA sees of the mask
    latents = [
        model.encoder.modulate(
            *model.encoder.g_a(to_blocks(t)), mask_level(grown(mask, MARGIN)), quality
        )
        for t, mask in pairs
    ]
    assert torch.equal(latents[0][..., :17], latents[2][..., :17])
    assert torch.equal(latents[0][..., :17], latents[1][..., :17])
    assert not torch.equal(latents[0], latents[2])
    codes = [model.encoder.h_a(t) for t in (y, changed(y, HYPER_HALO))]
    assert torch.equal(*(t[..., :4] for t in codes))  # z at 16 stands for columns 16 to 19
