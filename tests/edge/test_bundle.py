"""A bundle encodes and decodes as vcm does, in a process where torch cannot be imported."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from without_torch import ran

import vcm
from vcm import bundle, container, image
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.codec.format.strings import strings_of
from vcm.codec.runtime.onnx import OnnxDecoder
from vcm.roi.base import Backend
from vcm.roi.box import from_boxes

Image = NDArray[np.uint8]
WORDS_LEFT = 4  # bytes that the last words of two strings may differ by: more than 0.1 % of few


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load(bf16=False)


@pytest.fixture(scope="module")
def mapped(mapped_weights: Path) -> Codec:
    return Codec.load(mapped_weights, bf16=False)


@pytest.fixture(scope="module")
def words() -> Backend:
    return vcm.load_backend("embedded")


def done(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def failed(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 2 and "Traceback" not in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def graded(size: tuple[int, ...]) -> NDArray[np.uint16]:
    """Mask values as a picture of 16 bits has them: a disc that fades out, in steps."""
    rows, columns = np.indices(size)
    distance = np.hypot(rows / size[0] - 0.4, columns / size[1] - 0.5)
    return (np.ceil((1 - 2 * distance).clip(0) * 60) / 60 * 65535).astype(np.uint16)


def check(data: bytes, picture: Image, roi: vcm.RoiMask, codec: Codec, folder: Path) -> None:
    """A bundle's file is as good as vcm's, and both decode it to the same."""
    header = container.unpack(data).header
    ours = vcm.encode(picture, roi, codec, quality=header.quality / 100)
    assert abs(len(data) - len(ours)) <= max(WORDS_LEFT, 0.001 * len(ours))
    decoded = vcm.decode(data, codec)
    # by what matters: of a background that has few symbols, one that is rounded the other way shows
    quality = [_weighted(p, picture, roi) for p in (decoded, vcm.decode(ours, codec))]
    assert quality[0] == pytest.approx(quality[1], abs=0.02)
    decoder = OnnxDecoder(folder / bundle.NETWORKS)
    strings, size = strings_of(container.unpack(data)), (header.height, header.width)
    control = codec.decoder.told(strings, *size, header.quality / 100, header.tile)
    y_hat = codec.decoder.read(strings, *size, control, header.tile)
    np.testing.assert_array_equal(decoder.latent(data), y_hat[0].numpy())
    assert np.abs(np.subtract(decoder.decode(data), decoded, dtype=np.int16)).max() <= 1


def _weighted(decoded: Image, picture: Image, roi: vcm.RoiMask) -> float:
    """PSNR in dB with squared errors weighed as the codec weighs them."""
    weights = roi.values.astype(np.float64)[..., None] ** 2
    error = np.subtract(decoded, picture, dtype=np.float64) ** 2 * weights
    return float(10 * np.log10(255**2 * 3 * weights.sum() / error.sum()))


def test_words(
    edge: Path, codec: Codec, words: Backend, photos: dict[str, Image], tmp_path: Path
) -> None:
    picture = photos["person"]
    image.write(tmp_path / "photo.png", picture)
    said = done(
        ran(
            tmp_path, edge, "encode", "photo.png", "--text", "Person: 0.8 -tie", "-o", "a.vcm",
            "--sigma", 0.2, "--dilation", 3, "--store-text",
        )
    )  # fmt: skip
    data = container.read(tmp_path / "a.vcm")
    roi = vcm.acquire(picture, vcm.parse("Person: 0.8 -tie"), words, sigma=0.2, dilation=3)
    assert f"{len(data)} bytes" in said and f"{100 * roi.share:.1f} %" in said
    assert container.unpack(data).text == "Person: 0.8, -tie"
    bare = replace(container.unpack(data), text=None)
    check(container.pack(bare), picture, roi, codec, edge)
    done(ran(tmp_path, edge, "decode", "a.vcm", "-o", "back.png"))
    back, ours = image.read(tmp_path / "back.png"), vcm.decode(data, codec)
    assert np.abs(np.subtract(back, ours, dtype=np.int16)).max() <= 1


def test_boxes_and_an_odd_size(
    edge: Path, codec: Codec, photos: dict[str, Image], tmp_path: Path
) -> None:
    picture = np.ascontiguousarray(photos["cat"][:299])
    image.write(tmp_path / "photo.png", picture)
    boxes = [(100, 50, 200, 150), (400, 250, 90, 90)]
    arguments = [a for box in boxes for a in ("--box", ",".join(map(str, box)))]
    done(
        ran(
            tmp_path, edge, "encode", "photo.png", *arguments, "-o", "a.vcm",
            "--quality", 81.5, "--sigma", 0.05,
        )
    )  # fmt: skip
    data = container.read(tmp_path / "a.vcm")
    check(data, picture, from_boxes(boxes, picture.shape[:2], 0.05), codec, edge)


def test_a_mask(edge: Path, codec: Codec, photos: dict[str, Image], tmp_path: Path) -> None:
    picture = photos["cup"]
    inside = graded(picture.shape[:2]) > 30000
    image.write(tmp_path / "photo.png", picture)
    image.write(tmp_path / "mask.png", inside * np.uint8(255))
    done(ran(tmp_path, edge, "encode", "photo.png", "--mask", "mask.png", "-o", "a.vcm"))
    data = container.read(tmp_path / "a.vcm")
    check(data, picture, vcm.RoiMask(inside, 0.1, "mask"), codec, edge)


def test_a_map_of_mask_values_and_tiles(
    toy: Path, mapped: Codec, photos: dict[str, Image], tmp_path: Path
) -> None:
    picture = np.concatenate([photos["cat"][:70]] * 7, axis=1)  # 198 latents wide, over 192
    values = graded(picture.shape[:2])
    image.write(tmp_path / "photo.png", picture)
    image.write(tmp_path / "mask.png", values)
    done(
        ran(
            tmp_path, toy, "encode", "photo.png", "--mask", "mask.png", "--mask-values",
            "-o", "a.vcm", "--quality", 70, "--sigma", 0.07,
        )
    )  # fmt: skip
    data = container.read(tmp_path / "a.vcm")
    stream = container.unpack(data)
    assert stream.header.tile == 96 and stream.map
    check(data, picture, vcm.RoiMask(values / np.float32(65535), 0.07, ""), mapped, toy)
    done(ran(tmp_path, toy, "decode", "a.vcm", "-o", "back.png"))
    back = image.read(tmp_path / "back.png")
    assert np.abs(np.subtract(back, vcm.decode(data, mapped), dtype=np.int16)).max() <= 1


def test_a_bundle_for_some_words_knows_these(
    toy: Path, words: Backend, photos: dict[str, Image], tmp_path: Path
) -> None:
    image.write(tmp_path / "photo.png", photos["person"])
    arguments = "encode", "photo.png", "-o", "a.vcm", "--text"
    said = done(ran(tmp_path, toy, *arguments, "woman"))
    share = vcm.acquire(photos["person"], vcm.parse("woman"), words, sigma=0.1).share
    assert f"{100 * share:.1f} %" in said
    for text, message in (
        ("cat", "'cat': cat is not among the words that this network was exported for: person, c"),
        ("persn", "unknown word 'persn'; similar words: person"),
    ):
        assert message in failed(ran(tmp_path, toy, *arguments, text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("encode -o a.vcm", "give a picture, or a folder with --watch"),
        ("encode none.png -o a.vcm", "there is no file 'none.png'"),
        ("encode bad.vcm -o a.vcm", "no picture that OpenCV reads"),
        ("encode none.png -o a.vcm --box 1,2,3,4 --text car", "got --text and --box"),
        ("encode none.png -o a.vcm --quality 101", "--quality: expected a number from 0 to 100"),
        ("encode none.png -o a.vcm --store-text", "--store-text keeps the words of --text"),
        ("encode --watch none -o .", "there is no folder 'none'"),
        ("decode bad.vcm -o a.png", "expected a .vcm file"),
        ("decode foreign.vcm -o a.png", "the file was made with the model 0000000000000000"),
        ("decode foreign.vcm -o a.docx", "expected one of .png .jpg"),
    ],
)
def test_errors_are_one_line(toy: Path, tmp_path: Path, arguments: str, message: str) -> None:
    (tmp_path / "bad.vcm").write_bytes(b"not one")
    foreign = container.Bitstream(container.Header(bytes(8), 5, 7, 5000), b"z", b"y")
    (tmp_path / "foreign.vcm").write_bytes(container.pack(foreign))
    assert message in failed(ran(tmp_path, toy, *arguments.split()))
    assert not (tmp_path / "a.vcm").exists() and not (tmp_path / "a.png").exists()


def test_what_is_exported_is_refused_before_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "own" / "vcm").mkdir(parents=True)
    for folder, arguments, message in (
        ("never", ["--words", "person"], "give --bundle"),
        ("never", ["--bundle", "--words", "unicorns"], "unknown word"),
        ("own", ["--bundle"], "holds a vcm that is no bundle's"),
    ):
        found = CliRunner().invoke(cli, ["export", "-o", str(tmp_path / folder), *arguments])
        assert found.exit_code == 2 and message in found.output
    assert not (tmp_path / "never").exists() and not any((tmp_path / "own" / "vcm").iterdir())


def test_a_bundle_holds_what_its_program_imports_and_no_more() -> None:
    found = set(bundle.modules())
    assert {"vcm/codec/runtime/onnx_encoder.py", "vcm/roi/baked.py", "vcm/roi/words.toml"} < found
    heavy = re.compile("torch|click|PIL|compressai")
    for name, path in bundle.modules().items():
        assert not re.search(rf"^(import|from) ({heavy.pattern})\b", path.read_text(), re.M), name
