"""Damaged, truncated, hostile and foreign files: an ImageError in one line, never anything else."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vcm import image
from vcm.errors import ImageError
from vcm.image import Reading


def png(width: int, height: int) -> bytes:
    """A PNG of this size that holds one row of greys at most: as small as a bomb begins."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_a_single_pixel_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(png(1, 1))
    assert image.read(path).tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize(
    ("width", "height"), [(70_000, 1), (1, 65_536), (12_000, 12_000), (65_535, 65_535)]
)
def test_decompression_bombs_are_refused_by_their_header(
    tmp_path: Path, width: int, height: int
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height))
    with pytest.raises(ImageError, match="shrink or crop it") as caught:
        image.read(path)
    assert "\n" not in str(caught.value)


def test_truncated_pictures_are_refused(tmp_path: Path, cat: NDArray[np.uint8]) -> None:
    for suffix in image.WRITABLE:
        path = tmp_path / f"cut{suffix}"
        image.write(path, cat)
        whole = path.read_bytes()
        for share in (0.01, 0.3, 0.9):
            path.write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(ImageError) as caught:
                image.read(path, Reading(strict=True))
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", [1, 2, 3, 40, 3_000])
def test_a_jpeg_without_its_end_is_what_opencv_reads(
    tmp_path: Path, cat: NDArray[np.uint8], lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cut.jpg"
    image.write(path, cat)
    path.write_bytes(path.read_bytes()[:-lost])
    expected = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(image.read(path), expected)
    assert "the JPEG is truncated" in caplog.text
    with image.told() as lines:  # instead of the log
        image.read(path)
    assert len(lines) == 1 and len(caplog.records) == 1


def test_a_progressive_jpeg_is_read_wherever_it_ends(cat: NDArray[np.uint8]) -> None:
    buffer = io.BytesIO()
    small = cat[:64, :80]
    Image.fromarray(small).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    headers = {whole.rfind(b"\xff\xc4") + n for n in range(40)}  # behind which a scan begins
    for length in sorted(headers | set(range(400, len(whole), 50))):
        with image.told() as lines:
            found = image.parse(whole[:length], "cut.jpg")
        assert found.shape == small.shape and len(lines) == 1
        assert np.abs(found.astype(int) - small).mean() < 20  # coarse, but the picture
    for length in range(150, 260):  # up to where its first scan begins
        try:
            image.parse(whole[:length], "cut.jpg")
        except ImageError as error:
            assert "\n" not in str(error)


def test_a_jpeg_without_its_header_is_refused(tmp_path: Path, cat: NDArray[np.uint8]) -> None:
    path = tmp_path / "cut.jpg"
    image.write(path, cat)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match="damaged|is not a picture"):
        image.read(path)


@given(st.data())
def test_damaged_pictures_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{data.draw(st.sampled_from(image.WRITABLE))}"
    picture = np.arange(17 * 23 * 3, dtype=np.uint8).reshape(17, 23, 3)
    image.write(path, picture)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(content)
    try:
        found = image.read(path)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert found.ndim == 3
        assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a picture"),
        (b"hello", "is not a picture"),
        (b"\x89VCM" + bytes(100), "is not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
    ],
)
def test_what_is_not_a_picture_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        image.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.jpg", "there is no file"), (".", "is a folder"), ("a\0b", "there is no file")],
)
def test_what_is_not_a_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        image.read(tmp_path / name)


def test_colour_spaces_without_a_way_to_grey_are_no_masks(tmp_path: Path) -> None:
    bands = [Image.new("L", (3, 2))] * 3
    Image.merge("LAB", bands).save(tmp_path / "lab.tif")
    with pytest.raises(ImageError, match="it has colours"):
        image.read_mask(tmp_path / "lab.tif", (2, 3))
