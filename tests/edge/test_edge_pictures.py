"""OpenCV reads for a bundle what Pillow reads for vcm."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from vcm import image
from vcm.edge import pictures
from vcm.errors import ImageError

Image = NDArray[np.uint8]


def test_a_photo_turned_by_exif(cat: Image, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Pillow.fromarray(cat).save(path, quality=95, exif=exif)
    found = pictures.read(path)
    assert found.shape == (451, 300, 3)
    assert np.abs(np.subtract(found, image.read(path), dtype=np.int16)).max() <= 3  # two decoders


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_pictures_of_other_modes(mode: str, cat: Image, tmp_path: Path) -> None:
    picture = Pillow.fromarray(cat).convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(Pillow.fromarray(cat[..., 0]))
    picture.save(tmp_path / "a.png")
    found, ours = pictures.read(tmp_path / "a.png"), image.read(tmp_path / "a.png")
    assert np.abs(np.subtract(found, ours, dtype=np.int16)).max() <= 1


def test_sixteen_bits(tmp_path: Path) -> None:
    deep = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    image.write(tmp_path / "a.png", deep)
    found, ours = pictures.read(tmp_path / "a.png"), image.read(tmp_path / "a.png")
    assert np.abs(np.subtract(found, ours, dtype=np.int16)).max() <= 1
    values = pictures.read_values(tmp_path / "a.png", (32, 32))
    np.testing.assert_allclose(values, image.read_values(tmp_path / "a.png", (32, 32)), atol=1e-6)


def test_masks(cat: Image, tmp_path: Path) -> None:
    mask = cat[..., 0] * np.uint8(cat[0, 0, 0] > 0)
    image.write(tmp_path / "mask.png", mask)
    size = mask.shape
    np.testing.assert_array_equal(
        pictures.read_mask(tmp_path / "mask.png", size),
        image.read_mask(tmp_path / "mask.png", size),
    )
    np.testing.assert_allclose(
        pictures.read_values(tmp_path / "mask.png", size),
        image.read_values(tmp_path / "mask.png", size), atol=1e-6,
    )  # fmt: skip
    image.write(tmp_path / "colours.png", cat)
    with pytest.raises(ImageError, match="it has colours"):
        pictures.read_mask(tmp_path / "colours.png", size)
    with pytest.raises(ImageError, match="expected 9x9 pixels like the picture, got 451x300"):
        pictures.read_mask(tmp_path / "mask.png", (9, 9))


@pytest.mark.parametrize("suffix", pictures.WRITABLE)
def test_what_is_written_is_read_again(suffix: str, cat: Image, tmp_path: Path) -> None:
    pictures.write(tmp_path / f"a{suffix}", cat)
    found = image.read(tmp_path / f"a{suffix}")
    if suffix == ".jpg":
        assert np.abs(np.subtract(found, cat, dtype=np.int16)).mean() < 2
    else:
        np.testing.assert_array_equal(found, cat)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"text"])
def test_no_picture(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match="no picture that OpenCV reads"):
        pictures.read(tmp_path / "a.png")
