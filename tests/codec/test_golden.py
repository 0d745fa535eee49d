"""Files of every version of the format are decoded to what they held when they were written."""

from pathlib import Path

import numpy as np
import pytest

from vcm import bitstream, pipeline
from vcm.codec.codec import Codec
from vcm.codec.latent import Strings
from vcm.codec.weights import load

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("version", range(1, bitstream.VERSION + 1))
def test_golden_file(version):
    codec = Codec(load(GOLDEN / f"v{version}.safetensors"), bf16=False)
    data = (GOLDEN / f"v{version}.vcm").read_bytes()
    expected = np.load(GOLDEN / f"v{version}.npz")
    stream = bitstream.unpack(data)
    header = stream.header
    assert stream.text == "wave" and header.quality == 7000
    y_hat = codec.decoder.read(
        Strings(stream.z, stream.y), header.height, header.width, header.quality / 100, header.tile
    )
    assert np.array_equal(y_hat.numpy(), expected["y_hat"])
    assert np.abs(expected["y_hat"]).max() > 100  # it is not an empty picture
    difference = pipeline.decode(data, codec).astype(int) - expected["x_hat"]
    assert np.abs(difference).max() <= 1
