"""A toy codec: the real classes, untrained, a few channels wide."""

import pytest
import torch

from vcm.codec.codec import Codec
from vcm.codec.model import RoiHyperprior, Sizes
from vcm.codec.rate import Rate
from vcm.codec.weights import load, save

TINY = Sizes(M=12, Z=4, n8=8, n16=16, blocks8=1, blocks16=1, width=16, context=16, hidden=16)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """The path of a toy codec's weight file."""
    torch.manual_seed(1)
    model = RoiHyperprior(TINY)
    for gain in (model.gain, model.inverse_gain):
        torch.nn.init.normal_(gain.log_gain, 0.0, 0.5)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save(path, model, Rate(TINY.Z).tables(), {"licence": "Apache-2.0"})
    return path


@pytest.fixture(scope="session")
def tiny(tiny_weights):
    """The toy codec."""
    return Codec(load(tiny_weights))
