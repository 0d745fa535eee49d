"""The exported networks give what torch gives, and a file is decoded without torch."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

import vcm
from vcm import container
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.codec.format.control import Control
from vcm.codec.format.cva import MARGIN
from vcm.codec.format.strings import strings_of
from vcm.codec.nets.control import Controls
from vcm.codec.nets.lma import grown, mask_level
from vcm.codec.nets.transforms import to_blocks
from vcm.codec.runtime import export
from vcm.codec.runtime.exported import parts
from vcm.codec.runtime.latent import Unquantised
from vcm.codec.runtime.onnx import OnnxDecoder
from vcm.errors import BitstreamError, MissingExtra, ModelError, OutputError
from vcm.metrics.distortion import psnr

pytestmark = pytest.mark.slow  # the exporter

Image = NDArray[np.uint8]
CROPS = {  # name -> photo, rows and columns, quality
    "cat, odd": ("cat", slice(0, 299), slice(0, 451), 30),
    "person": ("person", slice(None), slice(None), 73.25),
    "cup": ("cup", slice(None), slice(3, None), 97),
    "a row": ("cup", slice(99, 100), slice(None), 0),
    "a few pixels": ("cup", slice(99, 104), slice(100, 107), 50),
}


@pytest.fixture(scope="module")
def folder(exported: Path) -> Path:
    """What `vcm export` writes of the built-in model."""
    return exported


@pytest.fixture(scope="module")
def decoder(folder: Path) -> OnnxDecoder:
    return OnnxDecoder(folder)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load(bf16=False)


def coded(picture: Image, codec: Codec, quality: float) -> bytes:
    """The file of a picture whose upper left is the ROI."""
    roi = np.zeros(picture.shape[:2], np.bool_)
    roi[: len(roi) // 2 + 1, : len(roi[0]) // 2 + 1] = True
    return vcm.encode(picture, vcm.RoiMask(roi, 0.1, ""), codec, quality=quality)


def torch_latent(data: bytes, codec: Codec) -> NDArray[np.int16]:
    stream = container.unpack(data)
    head, strings = stream.header, strings_of(stream)
    told = Control(head.quality / 100)
    y_hat = codec.decoder.read(strings, head.height, head.width, told, head.tile)
    return y_hat[0].numpy()


def check_equal(data: bytes, codec: Codec, decoder: OnnxDecoder) -> None:
    np.testing.assert_array_equal(decoder.latent(data), torch_latent(data, codec))
    ours, theirs = vcm.decode(data, codec), decoder.decode(data)
    assert np.abs(np.subtract(ours, theirs, dtype=np.int16)).max() <= 1


@pytest.mark.parametrize("name", CROPS)
def test_latents_are_equal_bit_for_bit(
    name: str, photos: dict[str, Image], codec: Codec, decoder: OnnxDecoder
) -> None:
    photo, rows, columns, quality = CROPS[name]
    picture = np.ascontiguousarray(photos[photo][rows, columns])
    check_equal(coded(picture, codec, quality), codec, decoder)


@pytest.mark.parametrize("side", [24, 28])
def test_tiled_files_too(
    side: int, photos: dict[str, Image], codec: Codec, decoder: OnnxDecoder
) -> None:
    picture = np.concatenate([photos["person"][:283]] * 2, axis=1)  # 18 x 36 latents
    tiled = Codec.load(side=side, bf16=False)
    data = coded(picture, tiled, 60)
    assert container.unpack(data).header.tile == side
    check_equal(data, codec, decoder)


def test_a_large_picture_is_rendered_in_tiles(
    photos: dict[str, Image], codec: Codec, decoder: OnnxDecoder
) -> None:
    picture = np.concatenate([photos["cat"][:70]] * 7, axis=1)  # 198 latents wide, over 192
    data = coded(picture, codec, 40)
    assert container.unpack(data).header.tile == 96
    check_equal(data, codec, decoder)


def test_the_encoders_networks_make_files_that_torch_decodes(
    folder: Path, photos: dict[str, Image], codec: Codec
) -> None:
    import onnxruntime

    picture = np.ascontiguousarray(photos["cat"][:288, :448])
    x = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    m = torch.full((1, 1, 288, 448), 0.1)
    m[..., :160, :224] = 1
    quality = Controls.single(Control(50))
    analysis, hyper = (
        onnxruntime.InferenceSession(str(folder / f"{name}.onnx")) for name in export.ENCODER
    )
    plane = np.ones((1, 1, 18, 28), np.float32)
    inputs = {"x": x.numpy(), "m": m.numpy(), "values": plane, "quality": plane / 2}
    (y,) = analysis.run(None, inputs)
    with torch.inference_mode():
        expected = codec.model.encoder.modulate(
            *codec.model.encoder.g_a(to_blocks(x)), mask_level(grown(m, MARGIN)), quality
        )
    np.testing.assert_allclose(y, expected.numpy(), atol=2e-3)
    (z,) = hyper.run(None, {"y": np.pad(y, ((0, 0), (0, 0), (0, -18 % 4), (0, 0)))})
    np.testing.assert_allclose(z, codec.model.encoder.hyper(expected).numpy(), atol=2e-3)

    prepared = Unquantised(torch.from_numpy(y).half(), torch.from_numpy(z).round(), quality, 0)
    strings = codec.latents.encode(prepared)
    decoded = codec.decompress(strings, 288, 448, 50, 0)[0].permute(1, 2, 0).numpy()
    ours = codec.compress(x, m, 50)
    usual = codec.decompress(ours, 288, 448, 50)[0].permute(1, 2, 0).numpy()
    assert len(strings.y) == pytest.approx(len(ours.y), rel=0.01)
    assert psnr(picture, decoded) == pytest.approx(psnr(picture, usual), abs=0.02)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # every import of it fails
from pathlib import Path
import numpy as np
from vcm.codec.runtime.onnx import OnnxDecoder
folder, source, target = sys.argv[1:]
np.save(target, OnnxDecoder(folder).decode(Path(source).read_bytes()))
loaded = {name.split(".")[0] for name, module in sys.modules.items() if module is not None}
assert loaded.isdisjoint({"torch", "compressai", "PIL"}), loaded
"""


def test_decoding_needs_no_torch(
    folder: Path, photos: dict[str, Image], codec: Codec, decoder: OnnxDecoder, tmp_path: Path
) -> None:
    data = coded(photos["person"], codec, 50)
    (tmp_path / "a.vcm").write_bytes(data)
    paths = [str(folder), str(tmp_path / "a.vcm"), str(tmp_path / "a.npy")]
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *paths], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), decoder.decode(data))


def test_damage_is_a_typed_error(
    folder: Path, photos: dict[str, Image], tiny: Codec, codec: Codec, decoder: OnnxDecoder
) -> None:
    data = coded(photos["cup"], codec, 20)
    with pytest.raises(ModelError, match="export the weights that made the file"):
        decoder.decode(coded(photos["cup"], tiny, 20))
    stream = container.unpack(data)
    for y in (stream.y[: len(stream.y) // 2], stream.y + bytes(range(1, 60))):
        with pytest.raises(BitstreamError, match="string"):
            decoder.decode(container.pack(container.Bitstream(stream.header, stream.z, y)))
    header = container.Header(decoder.fingerprint, 200, 300, 2000, tile=20)
    with pytest.raises(BitstreamError, match="tile: expected a multiple"):
        decoder.decode(container.pack(container.Bitstream(header, b"", b"")))


@pytest.mark.parametrize("name", ["codec.json", "synthesis.onnx"])
@pytest.mark.parametrize("content", [None, b"{}", b"\x00\xff"])
def test_a_damaged_folder_is_a_typed_error(
    name: str, content: bytes | None, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "onnx"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).symlink_to(path)
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(ModelError, match="is not what `vcm export` writes"):
        OnnxDecoder(copy)


def test_what_cannot_be_exported_says_so(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="expected vcm-codec-1"):
        export.export(tmp_path, Path(vcm.__file__).parent / "weights" / "roi-base.safetensors")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match="onnx"):
        export.export(tmp_path / "never", tiny_weights)
    assert not (tmp_path / "never").exists()
    shutil.copy(tiny_weights, tmp_path / "a file")
    monkeypatch.setattr(export, "onnx", lambda graph: b"")
    with pytest.raises(OutputError, match="cannot make"):
        export.export(tmp_path / "a file" / "onnx", tiny_weights)


def test_the_command_refuses_before_it_writes(tmp_path: Path) -> None:
    never = tmp_path / "never"
    for arguments, message in (
        (["--weights", "nobody"], "no such built-in model; built in: base"),
        (["--check", str(tmp_path / "none.jpg")], "there is no file"),
    ):
        found = CliRunner().invoke(cli, ["export", "-o", str(never), *arguments])
        assert found.exit_code == 2 and message in found.output
    assert not never.exists()


@pytest.mark.parametrize(("h", "w", "most"), [(90, 91, 5000), (1, 400, 7), (3, 3, 9), (5, 5, 1)])
def test_parts_cover_a_latent_once(h: int, w: int, most: int) -> None:
    seen = np.zeros((h, w), np.int16)
    for tile in parts(h, w, most):
        part = tile.of(seen)
        assert 0 < part.size <= most
        part += 1
    assert (seen == 1).all()
    assert len(list(parts(h, w, most))) < 4 * h * w / most
