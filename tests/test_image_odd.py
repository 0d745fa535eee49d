"""Pictures as other programs leave them: read with the right values, or refused in one sentence."""

import io
import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.image import Reading

Array = NDArray[np.uint8]
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # 12 bits in 16
IN_8 = np.round(RAMP / 4095 * 255).astype(np.uint8)


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    crc = struct.pack(">I", zlib.crc32(kind + body))
    chunk = struct.pack(">I", len(body)) + kind + body + crc
    return data[:33] + chunk + data[33:]


def png(array: NDArray[np.uint16]) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def colours(ramp: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.dstack([ramp, ramp[::-1], ramp.T])


@pytest.mark.parametrize("shape", ["grey", "colour"])
def test_12_bits_in_16_are_scaled_as_told(tmp_path: Path, shape: str) -> None:
    path, plain = tmp_path / "deep.png", shape == "grey"
    path.write_bytes(png(RAMP if plain else colours(RAMP)[..., ::-1]))
    expected = np.dstack([IN_8] * 3) if plain else np.dstack([IN_8, IN_8[::-1], IN_8.T])
    with image.told() as lines:
        assert image.read(path).max() <= 16  # nearly black
    assert len(lines) == 1 and "no sample is over 4095 of 65535" in lines[0]
    with image.told() as lines:
        assert np.array_equal(image.read(path, Reading(bits=12)), expected)
    assert not lines
    with pytest.raises(ImageError, match="expected samples of 10 bits, got the value 4095"):
        image.read(path, Reading(bits=10))


def test_a_file_that_says_how_many_bits_it_has_is_believed(tmp_path: Path) -> None:
    expected = np.dstack([IN_8] * 3)
    (tmp_path / "a.png").write_bytes(with_chunk(png(RAMP), b"sBIT", b"\x0c"))
    assert np.array_equal(image.read(tmp_path / "a.png"), expected)
    coloured = with_chunk(png(colours(RAMP)[..., ::-1]), b"sBIT", b"\x0c\x0c\x0c")
    (tmp_path / "a.png").write_bytes(coloured)
    assert np.array_equal(image.read(tmp_path / "a.png")[..., 0], IN_8)
    # by the standard the bits that mean something are the upper ones
    (tmp_path / "b.png").write_bytes(with_chunk(png(RAMP * 16), b"sBIT", b"\x0c"))
    assert np.abs(image.read(tmp_path / "b.png").astype(int) - expected).max() <= 1
    tags = {281: 4095}
    Image.fromarray(RAMP).save(tmp_path / "c.tif", tiffinfo=tags)
    assert np.array_equal(image.read(tmp_path / "c.tif"), expected)


def test_a_tiff_of_12_bits_is_no_darker_than_it_is(tmp_path: Path) -> None:
    even, odd = (RAMP.ravel()[i::2].astype(np.uint32) for i in (0, 1))
    three = np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], 1).astype(np.uint8)
    tags = [(256, 64), (257, 64), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 64)]
    tags.append((279, three.size))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path = tmp_path / "twelve.tif"
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8 + three.size) + three.tobytes() + directory)
    assert np.array_equal(image.read(path), np.dstack([IN_8] * 3))


def ppm(samples: NDArray[np.uint16], most: int) -> bytes:
    kind = b"P5" if samples.ndim == 2 else b"P6"
    head = b"%s\n%d %d\n%d\n" % (kind, samples.shape[1], samples.shape[0], most)
    return head + samples.astype(">u2").tobytes()


def jp2(samples: NDArray[np.uint16], bits: int) -> bytes:
    """A lossless JPEG 2000 that says so many bits: OpenCV writes 16, around another middle."""
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    middle = np.uint16(2**15 - 2 ** (bits - 1))
    in_order = samples[..., ::-1] if samples.ndim == 3 else samples
    data = bytearray(cv2.imencode(".jp2", in_order + middle, options)[1].tobytes())
    sizes = data.find(b"\xff\x4f\xff\x51") + 42
    for at in (data.find(b"ihdr") + 14, *range(sizes, sizes + (9 if samples.ndim == 3 else 3), 3)):
        data[at] = bits - 1
    return bytes(data)


@pytest.mark.parametrize("shape", ["grey", "colour"])
@pytest.mark.parametrize("kind", [ppm, jp2])
def test_bits_are_heard_in_other_deep_formats(shape: str, kind: Callable[..., bytes]) -> None:
    samples = RAMP if shape == "grey" else colours(RAMP)
    expected = np.dstack([IN_8] * 3) if shape == "grey" else colours(IN_8)
    for said in (16, 12):
        data = kind(samples, 2**said - 1 if kind is ppm else said)
        with image.told() as lines:
            plain = image.parse(data, "deep")
        if said == 12:  # and it needs no telling
            assert not lines and np.abs(plain.astype(int) - expected).max() <= 1
        else:
            assert plain.max() <= 16 and "no sample is over 4095 of 65535" in lines[0]
        assert np.array_equal(image.parse(data, "deep", Reading(bits=12)), expected)
        assert image.parse(data, "deep", Reading(bits=14)).max() == 64
        with pytest.raises(ImageError, match="expected samples of 10 bits, got the value 4095"):
            image.parse(data, "deep", Reading(bits=10))


def test_white_of_a_deep_jpeg_2000_is_not_black() -> None:
    for bits in (12, 16):
        samples = np.full((32, 32, 3), 2**bits - 1, np.uint16)
        samples[9:, 9:] = 3 * 2 ** (bits - 2)
        found = image.parse(jp2(samples, bits), "white.jp2")
        assert (found[:9] == 255).all() and (found[9:, 9:] // 2 == 191 // 2).all()


def test_bits_that_cannot_be_told_are_refused(cat: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    data = png(colours(RAMP))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)  # as for a variant it does not know
    assert image.parse(data, "deep.png").max() <= 16
    with pytest.raises(ImageError, match=r"got a PNG \(mode RGB\).*; convert it to PNG or leave"):
        image.parse(data, "deep.png", Reading(bits=12))
    plain = io.BytesIO()
    Image.fromarray(cat).save(plain, "PNG")  # has 8 bits: nothing is asked of it
    assert np.array_equal(image.parse(plain.getvalue(), "a.png", Reading(bits=12)), cat)


def test_bits_of_a_sample_are_9_to_16() -> None:
    for bits in (8, 17):
        with pytest.raises(SpecError, match="expected 9 to 16"):
            Reading(bits=bits)


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_a_png_with_a_long_text_or_profile_is_read(tmp_path: Path, cat: Array, kind: str) -> None:
    long, path = os.urandom(3 << 20), tmp_path / "long.png"
    if kind == "profile":
        Image.fromarray(cat).save(path, icc_profile=long)
    else:
        info = PngImagePlugin.PngInfo()
        info.add_text("comment", long.hex(), zip=True)
        Image.fromarray(cat).save(path, pnginfo=info)
    assert np.array_equal(image.read(path), cat)
    assert np.array_equal(image.read(path), cv2.imread(str(path))[..., ::-1])
    assert image.size(path.read_bytes(), "long.png") == cat.shape[:2]


def test_a_long_text_takes_no_orientation_away(tmp_path: Path, cat: Array) -> None:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(cat).save(buffer, "PNG", exif=exif)
    text = b"comment\0\0" + zlib.compress(bytes(2 << 20))
    (tmp_path / "a.png").write_bytes(with_chunk(buffer.getvalue(), b"zTXt", text))
    assert np.array_equal(image.read(tmp_path / "a.png"), np.rot90(cat, -1))


@pytest.mark.parametrize("of_text", [zlib.compress(bytes(2 << 20)), bytes(9) * 2])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_exif_that_is_too_long_is_told_of(cat: Array, of_text: bytes, place: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(cat).save(buffer, "PNG")
    exif = b"Raw profile type exif\0\0" + of_text
    data = with_chunk(buffer.getvalue(), b"zTXt", exif)
    if place == "behind":  # the pixels
        data = buffer.getvalue()[:-12] + data[33 : 33 + 12 + len(exif)] + buffer.getvalue()[-12:]
    too_long = len(of_text) > 20
    with image.told() as lines:
        assert np.array_equal(image.parse(data, "long.png"), cat)
    assert [("EXIF data is too long" in line) for line in lines] == [True] * too_long
    assert image.size(data, "long.png") == cat.shape[:2]
    assert image.way_up(data, "long.png") == 1


def test_many_long_texts_are_read_once_each(cat: Array) -> None:
    buffer = io.BytesIO()
    Image.fromarray(cat).save(buffer, "PNG")
    data, exif = buffer.getvalue(), b"Raw profile type exif\0" + b"ab" * (1 << 19)
    for _ in range(70):  # Pillow takes 64 MiB
        data = with_chunk(data, b"tEXt", exif)
    assert image.size(data, "long.png") == cat.shape[:2]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("way", range(1, 9))
def test_exif_can_be_ignored(tmp_path: Path, suffix: str, way: int) -> None:
    exif, path = Image.Exif(), tmp_path / f"turned{suffix}"
    exif[0x0112] = way
    picture = np.zeros((16, 24, 3), np.uint8)
    picture[:8, :8] = 255
    Image.fromarray(picture).save(path, exif=exif)
    raw = image.read(path, Reading(upright=False))
    assert raw.shape == picture.shape and np.abs(raw.astype(int) - picture).max() < 9
    assert (image.read(path).shape == raw.shape) == (way < 5)


def test_a_file_named_jfif_is_a_jpeg(tmp_path: Path, cat: Array) -> None:
    Image.fromarray(cat).save(tmp_path / "a.jfif", "JPEG")
    assert image.folder(tmp_path) == [tmp_path / "a.jfif"]
    assert image.read(tmp_path / "a.jfif").shape == cat.shape


def test_what_a_folder_leaves_out_is_named(tmp_path: Path, cat: Array, caplog) -> None:
    image.write(tmp_path / "a.png", cat)
    for name in ("b.heic", "c.JXL", "notes.txt", ".d.heic"):
        (tmp_path / name).touch()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert image.folder(tmp_path) == [tmp_path / "a.png"]
    assert image.left_out(tmp_path) == ["b.heic", "c.JXL", "gone.jpg"]
    assert "left out: 3: b.heic, c.JXL, gone.jpg" in caplog.text


def test_a_pipe_is_read_as_a_file(tmp_path: Path, cat: Array) -> None:
    pipe = tmp_path / "photo"
    os.mkfifo(pipe)
    whole = cv2.imencode(".png", cat[..., ::-1])[1].tobytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(whole,), daemon=True)
    writer.start()
    found = image.read(pipe)
    writer.join(10)
    assert not writer.is_alive()
    assert np.array_equal(found, cat)


def masked(path: Path, labels: Array, palette: bool) -> Path:
    """Labels as VOC has them: by its colours (Everingham et al.), or as bytes alone."""
    picture = Image.fromarray(labels)
    if palette:
        table = np.zeros((256, 3), np.uint8)
        for i, shift, channel in (
            (i, s, c) for i in range(256) for s in range(3) for c in range(3)
        ):
            table[i, channel] |= (i >> (3 * shift + channel) & 1) << (7 - shift)
        picture = picture.convert("P")
        picture.putpalette(table.ravel().tolist())
    picture.save(path)
    return path


@pytest.mark.parametrize("palette", [True, False])
def test_a_map_of_classes_is_no_mask(tmp_path: Path, palette: bool) -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[5:9, 5:9], labels[10:15, 3:20], labels[4, 4] = 8, 15, 255
    with pytest.raises(ImageError, match="map of classes; save"):
        image.read_mask(masked(tmp_path / "m.png", labels, palette), labels.shape)


def test_black_and_white_is_a_mask_in_any_way_of_saving_it(tmp_path: Path) -> None:
    inside = np.zeros((40, 60), np.bool_)
    inside[7:29, 13:41] = True
    white = Image.fromarray(inside)
    smooth = Image.fromarray(cv2.GaussianBlur(inside * np.uint8(255), (5, 5), 1))
    for name, picture in (
        ("bits.png", white), ("palette.png", white.convert("P")), ("rgb.png", white.convert("RGB")),
        ("grey.jpg", white.convert("L")), ("rgb.jpg", white.convert("RGB")), ("soft.png", smooth),
    ):  # fmt: skip
        picture.save(tmp_path / name)
        found = image.read_mask(tmp_path / name, inside.shape)
        assert (found != inside).sum() <= 4 * (name == "soft.png")


@pytest.mark.parametrize(
    ("read", "white"),
    [(image.read_mask, 1), (image.read_mask, 4095), (image.read_values, 1),
     (image.read_values, 4095)],
)  # fmt: skip
def test_a_deep_mask_that_is_nearly_black_is_refused(tmp_path: Path, read, white: int) -> None:
    grey = np.zeros((6, 8), np.uint16)
    grey[:3] = white
    Image.fromarray(grey).save(tmp_path / "m.png")
    with pytest.raises(ImageError, match="no value is over"):
        read(tmp_path / "m.png", (6, 8))
    Image.fromarray(grey * (65535 // white)).save(tmp_path / "m.png")
    assert np.array_equal(read(tmp_path / "m.png", (6, 8)) > 0.9, grey > 0)


def test_mask_values_of_0_and_1_are_no_mask_values(tmp_path: Path) -> None:
    grey = np.eye(8, dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "m.png")
    with pytest.raises(ImageError, match=r"no value is over 6.2 % of white .*0.39 %"):
        image.read_values(tmp_path / "m.png", (8, 8))
    Image.fromarray(grey * 20).save(tmp_path / "m.png")
    assert image.read_values(tmp_path / "m.png", (8, 8)).max() == np.float32(20 / 255)
