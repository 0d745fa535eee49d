"""CompressAI's models as anchors, beside the same models called directly."""

import numpy as np
import pytest
import torch
from compressai.zoo import image_models

from vcm.anchors.zoo import HEAD, QUALITIES, Zoo, pretrained
from vcm.errors import ModelError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def untrained(name, quality):
    torch.manual_seed(quality)
    model = image_models[name](quality, metric="mse", pretrained=False).eval()
    model.update(force=True)
    return model


@pytest.mark.parametrize("name", ["bmshj2018-hyperprior", "mbt2018-mean"])
def test_files_hold_what_the_model_writes_and_give_what_it_reads(name, cat, seed):
    picture = np.ascontiguousarray(cat[:70, :101])
    zoo, model = Zoo(name, untrained), untrained(name, 2)
    data = zoo.encode(picture, 2)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    x = torch.nn.functional.pad(x, (0, 27, 0, 58), mode="replicate")
    with torch.no_grad():
        coded = model.compress(x)
        x_hat = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    assert len(data) == HEAD.size + sum(len(s[0]) for s in coded["strings"])
    expected = (x_hat[0, :, :70, :101].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(zoo.decode(data, 70, 101), expected)
    assert zoo.settings == tuple(range(1, QUALITIES[name] + 1))


def test_what_cannot_be_had_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="mbt2018-mean, quality 1: its weights could not be"):
        pretrained("mbt2018-mean", 1)
    with pytest.raises(ModelError, match="expected one of"):
        Zoo("mbt")
