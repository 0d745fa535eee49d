"""Files of every version of the format are decoded to what they held when they were written."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vcm import container, image, pipeline, weightfile
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.codec.format.control import Control
from vcm.codec.format.strings import strings_of
from vcm.codec.nets.int8 import Int8Conv, is_exact
from vcm.errors import BitstreamError

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("version", range(1, container.VERSION + 1))
def test_golden_file(version):
    codec = Codec.load(GOLDEN / f"v{version}.safetensors", bf16=False)
    data = (GOLDEN / f"v{version}.vcm").read_bytes()
    expected = np.load(GOLDEN / f"v{version}.npz")
    stream = container.unpack(data)
    header = stream.header
    assert stream.text == "wave" and header.quality == 7000
    strings, size = strings_of(stream), (header.height, header.width)
    control = codec.decoder.told(strings, *size, 70, header.tile)
    assert len(np.unique(control.plane)) == (3 if version > 1 else 1)
    y_hat = codec.decoder.read(strings, *size, control, header.tile)
    assert np.array_equal(y_hat.numpy(), expected["y_hat"])
    assert np.abs(expected["y_hat"]).max() > 100  # it is not an empty picture
    difference = pipeline.decode(data, codec).astype(int) - expected["x_hat"]
    assert np.abs(difference).max() <= 1


def test_a_file_of_0_1_0_is_decoded_by_the_built_in_model_that_made_it(tmp_path):
    """`vcm encode --box 60,20,140,160 --sigma 0.3 --quality 40` wrote it, at commit b4bab84."""
    file, expected = GOLDEN / "base-0.1.0.vcm", np.load(GOLDEN / "base-0.1.0.npz")
    data = file.read_bytes()
    header = container.unpack(data).header
    name = weightfile.named(header.fingerprint.hex())
    assert name is not None
    codec = Codec.load(name)
    strings, size = strings_of(container.unpack(data)), (header.height, header.width)
    control = codec.decoder.told(strings, *size, 40, header.tile)
    y_hat = codec.decoder.read(strings, *size, control, header.tile)
    assert np.array_equal(y_hat.numpy(), expected["y_hat"]) and (y_hat != 0).sum() > 5_000
    done = CliRunner().invoke(cli, ["decode", str(file), "-o", str(tmp_path / "a.png")])
    assert done.exit_code == 0, done.output
    difference = image.read(tmp_path / "a.png")[::2, ::2].astype(int) - expected["x_hat"]
    assert np.abs(difference).max() <= 1


@pytest.mark.skipif(not is_exact(), reason="needs a processor with exact sums of bytes")
def test_a_file_is_read_although_a_sum_of_bytes_is_wrong(monkeypatch, caplog):
    codec = Codec.load(GOLDEN / "v1.safetensors", bf16=False)
    stream = container.unpack((GOLDEN / "v1.vcm").read_bytes())
    header = stream.header
    strings = strings_of(stream)
    told = header.height, header.width, Control(header.quality / 100), header.tile
    real = Int8Conv.relu
    monkeypatch.setattr(Int8Conv, "relu", lambda conv, a: real(conv, a) ^ 37)
    y_hat = codec.decoder.read(strings, *told)
    assert np.array_equal(y_hat.numpy(), np.load(GOLDEN / "v1.npz")["y_hat"])
    assert "read at the second attempt" in caplog.text
    asked = header.height, header.width, header.quality / 100, header.tile
    bits = codec.bits_at(strings, *asked)
    monkeypatch.setattr(Int8Conv, "relu", real)
    assert np.array_equal(bits, codec.bits_at(strings, *asked))
    monkeypatch.setattr(Int8Conv, "relu", lambda conv, a: real(conv, a) ^ 37)
    caplog.clear()
    with pytest.raises(BitstreamError):
        codec.decoder.read(strings._replace(y=strings.y[: len(strings.y) // 2]), *told)
    with pytest.raises(BitstreamError):
        codec.bits_at(strings._replace(y=strings.y[: len(strings.y) // 2]), *asked)
    assert not caplog.text
