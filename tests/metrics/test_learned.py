"""Perceptual metrics of pretrained networks: real ones where they can be had, else one line.

Their backbones cannot be had everywhere, so the formulas are tested with backbones of random
weights: what the packages give for them, and the layout and range of what we hand over, against the
papers' equations.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from vcm.errors import MissingExtra, ModelError
from vcm.metrics import learned

pytestmark = pytest.mark.slow  # networks of others

ST_LPIPS = 0.0216029  # by the package alone, whose own example gives 0.77776 here
BACKBONES = {"lpips": "alexnet", "dists": "vgg16"}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # ImageNet's


@pytest.mark.parametrize("name", learned.NAMES)
def test_equal_pictures_are_at_no_distance_or_the_reason_is_said(name, cat, capsys):
    try:
        distance = learned.load(name)
    except MissingExtra as error:
        assert "vcm[perceptual]" in str(error)
    except ModelError as error:
        assert f"{name}: its backbone could not be downloaded" in str(error)
        assert "\n" not in str(error)
    else:
        noisy = (cat + np.random.default_rng(0).integers(0, 30, cat.shape)).astype(np.uint8)
        assert distance(cat, cat) == pytest.approx(0, abs=1e-4)
        assert distance(cat, noisy) > 1e-3
    assert capsys.readouterr().out == ""


def test_st_lpips_is_the_package_s_own_and_needs_no_network(photos, monkeypatch):
    pytest.importorskip(
        "stlpips_pytorch.utils",
        reason="stlpips-pytorch is not installed: pip install 'vcm[perceptual]'",
    )

    def refused(*arguments):
        raise OSError("no network")

    monkeypatch.setattr("socket.socket.connect", refused)
    person = photos["person"][:64, :64]
    blurred = cv2.GaussianBlur(person, (0, 0), 2.0)
    distance = learned.load("st-lpips")
    assert distance(person, person) == 0
    assert distance(person, blurred) == pytest.approx(ST_LPIPS, abs=1e-4)
    assert distance(person, blurred) < distance(person, 255 - person)
    for name in ("torchsummary", "IPython"):  # no stand-in stays
        assert name not in sys.modules or sys.modules[name].__spec__


def test_a_download_that_ended_early_is_a_line(monkeypatch):
    for package, name in (("lpips", "lpips"), ("DISTS_pytorch", "dists")):
        pytest.importorskip(package)

        def broken(pretrained):
            raise RuntimeError('invalid hash value (expected "1", got "2")')

        monkeypatch.setattr(f"torchvision.models.{BACKBONES[name]}", broken)
        with pytest.raises(ModelError, match=f"{name}: its backbone could not be downloaded"):
            learned.load(name)


def test_lpips_is_the_papers_equation_1(cat, monkeypatch):
    package = pytest.importorskip("lpips")
    layers = _random_backbone(BACKBONES["lpips"], monkeypatch)
    weights = torch.load(
        Path(package.__file__).parent / "weights/v0.1/alex.pth", map_location="cpu"
    )
    a, b = cat[:96, :128], cat[40:136, 60:188]

    fa, fb = (_features(layers, x, [1, 4, 7, 9, 11]) for x in (a, b))
    unit_a, unit_b = ([f / f.norm(dim=1, keepdim=True) for f in fs] for fs in (fa, fb))
    expected = sum(
        ((p - q).square() * weights[f"lin{i}.model.1.weight"]).sum(1).mean()
        for i, (p, q) in enumerate(zip(unit_a, unit_b, strict=True))
    )
    distance = learned.load("lpips")
    small = cat[: learned.SIDE_MIN, : learned.SIDE_MIN]
    assert distance(small, small) == 0
    assert 0.01 < distance(a, b) == pytest.approx(float(expected), rel=1e-4)


def test_dists_is_the_papers_equation_7(cat, monkeypatch):
    pytest.importorskip("DISTS_pytorch")
    layers = _random_backbone(BACKBONES["dists"], monkeypatch)
    weights = torch.load(Path(sys.prefix) / "weights.pt")
    a, b = cat[:96, :128], cat[40:136, 60:188]

    fa, fb = ([_picture(x), *_features(layers, x, [3, 8, 15, 22, 29])] for x in (a, b))
    mean_a, mean_b = (torch.cat([f.mean((2, 3)) for f in fs], 1) for fs in (fa, fb))
    var_a, var_b = (torch.cat([f.var((2, 3), correction=0) for f in fs], 1) for fs in (fa, fb))
    product = torch.cat([(p * q).mean((2, 3)) for p, q in zip(fa, fb, strict=True)], 1)
    texture = (2 * mean_a * mean_b + 1e-6) / (mean_a**2 + mean_b**2 + 1e-6)
    structure = (2 * (product - mean_a * mean_b) + 1e-6) / (var_a + var_b + 1e-6)
    alpha, beta = weights["alpha"].flatten(), weights["beta"].flatten()
    expected = 1 - ((alpha * texture + beta * structure).sum() / (alpha + beta).sum())
    assert 0.01 < learned.load("dists")(a, b) == pytest.approx(float(expected), rel=1e-3)


def _random_backbone(name, monkeypatch):
    """Layers of random weights that torchvision gives the package in place of the download's."""
    from torchvision import models

    torch.manual_seed(0)
    layers = getattr(models, name)().features.eval()
    monkeypatch.setattr(models, name, lambda pretrained: SimpleNamespace(features=layers))
    return layers


def _picture(image):
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255  # (1, 3, H, W)


@torch.inference_mode()
def _features(layers, image, taps):
    """Outputs of the layers `taps`; VGG's are pooled by L2 norms in DISTS (its equation 2)."""
    x, taken = (_picture(image) - MEAN[:, None, None]) / STD[:, None, None], []
    for i, layer in enumerate(layers):
        if isinstance(layer, torch.nn.MaxPool2d) and layer.kernel_size == 2:
            window = torch.tensor([0.25, 0.5, 0.25])
            kernel = torch.outer(window, window).expand(x.shape[1], 1, 3, 3)
            x = (conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
        else:
            x = layer(x)
        if i in taps:
            taken.append(x.clone())  # the next layer may work in place
    return taken
