"""Pictures of every kind become the right upright RGB, and everything else an ImageError."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from vcm import image
from vcm.errors import ImageError, OutputError

Array = NDArray[np.uint8]

# What each EXIF orientation asks for, by the standard's words for where row 0 and column 0 are.
UPRIGHT: dict[int, Callable[[Array], Array]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}


@pytest.fixture
def small(rng: np.random.Generator) -> Array:
    return rng.integers(0, 256, (7, 5, 3), np.uint8)


@settings(max_examples=25)  # of seven files each
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda s: (*s, 3))))
def test_lossless_formats_give_the_picture_back(
    tmp_path_factory: pytest.TempPathFactory, expected: Array
) -> None:
    for suffix in (".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".PNG"):
        path = tmp_path_factory.getbasetemp() / f"lossless{suffix}"
        image.write(path, expected)
        found = image.read(path)
        assert found.dtype == np.uint8
        assert found.flags.writeable
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_is_near_and_without_chroma_subsampling(
    tmp_path: Path, cat: Array, suffix: str
) -> None:
    path = tmp_path / f"cat{suffix}"
    image.write(path, cat)
    error = image.read(path).astype(float) - cat
    assert np.mean(error**2) < 4  # over 42 dB
    with Image.open(path) as picture:
        assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3


def test_every_known_suffix_is_read(tmp_path: Path, small: Array) -> None:
    for suffix, (file_format, _) in image._SAVE.items():
        path = tmp_path / f"picture{suffix}"
        Image.fromarray(small).save(path, format=file_format)
        assert image.read(path).shape == small.shape


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_exif_orientation_is_applied(
    tmp_path: Path, small: Array, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    Image.fromarray(small).save(path, exif=exif, lossless=True)
    np.testing.assert_array_equal(image.read(path), UPRIGHT[orientation](small))


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_turned_tiffs_of_every_kind_keep_their_pixels(
    tmp_path: Path, small: Array, mode: str
) -> None:
    """Pillow memory-maps these kinds when it is given a path, and gets turned ones wrong."""
    exif = Image.Exif()
    exif[0x0112] = 6
    flat = Image.fromarray(small).convert(mode)
    flat.save(tmp_path / "turned.tif", exif=exif)
    expected = UPRIGHT[6](np.array(flat.convert("RGB")))
    np.testing.assert_array_equal(image.read(tmp_path / "turned.tif"), expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"junk"])
def test_broken_exif_is_no_reason_to_refuse_a_photo(
    tmp_path: Path, cat: Array, exif: bytes
) -> None:
    path = tmp_path / "cat.jpg"
    Image.fromarray(cat).save(path, exif=exif)
    assert image.read(path).shape == cat.shape


def test_greyscale_and_bilevel(tmp_path: Path, small: Array) -> None:
    grey = small[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(image.read(tmp_path / "grey.png"), np.dstack([grey] * 3))
    Image.fromarray(grey > 127).save(tmp_path / "bits.png")
    expected = np.where(grey > 127, np.uint8(255), np.uint8(0))
    np.testing.assert_array_equal(image.read(tmp_path / "bits.png"), np.dstack([expected] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_deep_greyscale_is_rounded_to_8_bit(tmp_path: Path, suffix: str) -> None:
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    path = tmp_path / f"deep{suffix}"
    cv2.imwrite(str(path), deep)
    expected = np.round(deep / 65535 * 255).astype(np.uint8)
    np.testing.assert_array_equal(image.read(path), np.dstack([expected] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_colour_is_right_within_one_level(
    tmp_path: Path, rng: np.random.Generator, suffix: str
) -> None:
    deep = rng.integers(0, 65536, (9, 11, 3), np.uint16)
    deep[0, :2] = [[0], [65535]]
    path = tmp_path / f"deep{suffix}"
    cv2.imwrite(str(path), deep[:, :, ::-1])  # OpenCV's order is BGR
    found = image.read(path)
    np.testing.assert_array_equal(found[0, :2], [[0] * 3, [255] * 3])
    assert np.abs(found - deep / 65535 * 255).max() < 1


def test_palettes(tmp_path: Path, small: Array) -> None:
    palette = Image.fromarray(small).quantize(16)
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "palette.gif")
    expected = np.array(palette.convert("RGB"))
    np.testing.assert_array_equal(image.read(tmp_path / "palette.png"), expected)
    np.testing.assert_array_equal(image.read(tmp_path / "palette.gif"), expected)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_laid_over_white(tmp_path: Path, small: Array, suffix: str) -> None:
    alpha = np.array([0, 255, 128, 64, 1], np.uint8) * np.ones((7, 1), np.uint8)
    path = tmp_path / f"alpha{suffix}"
    Image.fromarray(np.dstack([small, alpha])).save(path, lossless=True, exact=True)
    weight = alpha[:, :, None] / 255
    expected = small * weight + 255 * (1 - weight)
    assert np.abs(image.read(path) - expected).max() <= 1


def test_transparent_grey_and_transparent_palette_entries(tmp_path: Path) -> None:
    pair = np.array([[[100, 255], [100, 0]]], np.uint8)
    Image.fromarray(pair, "LA").save(tmp_path / "grey.png")
    assert image.read(tmp_path / "grey.png")[0].tolist() == [[100] * 3, [255] * 3]
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    indexed.save(tmp_path / "key.png", transparency=1)
    assert image.read(tmp_path / "key.png")[0].tolist() == [[10, 20, 30], [255] * 3]


def test_cmyk(tmp_path: Path) -> None:
    inks = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]
    block = np.repeat(np.array([inks], np.uint8).repeat(16, 0), 16, 1)
    Image.fromarray(block, "CMYK").save(tmp_path / "inks.jpg", quality=100)
    found = image.read(tmp_path / "inks.jpg")[8, 8::16].astype(int)
    expected = [[255] * 3, [0, 255, 255], [255, 0, 255], [255, 255, 0], [0] * 3]
    assert np.abs(found - expected).max() <= 3


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert image.read(tmp_path / "film.gif").tolist() == [[[255, 0, 0]] * 3] * 2


def test_float_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="float.tif': expected 8 or 16 bits a sample, got 32"):
        image.read(tmp_path / "float.tif")


def test_masks_are_true_over_127(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image.write(tmp_path / "mask.png", grey)
    found = image.read_mask(tmp_path / "mask.png", (16, 16))
    assert found.dtype == bool
    np.testing.assert_array_equal(found, grey > 127)


def test_masks_may_be_empty_and_transparent_is_outside(tmp_path: Path) -> None:
    image.write(tmp_path / "empty.png", np.zeros((2, 3), np.uint8))
    assert not image.read_mask(tmp_path / "empty.png", (2, 3)).any()
    layer = np.zeros((1, 2, 4), np.uint8)
    layer[0, 0] = 255  # white paint on a transparent ground
    Image.fromarray(layer).save(tmp_path / "layer.png")
    assert image.read_mask(tmp_path / "layer.png", (1, 2)).tolist() == [[True, False]]


def test_masks_that_would_mislead_are_refused(tmp_path: Path) -> None:
    image.write(tmp_path / "mask.png", np.eye(4, dtype=np.uint8))
    with pytest.raises(ImageError, match="the largest is 1.; save it with 0 outside and 255"):
        image.read_mask(tmp_path / "mask.png", (4, 4))
    with pytest.raises(ImageError, match="expected 5x6 pixels like the picture, got 4x4"):
        image.read_mask(tmp_path / "mask.png", (6, 5))


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.gif", ".png"])
def test_unknown_suffixes_are_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"expected one of \.png \.jpg .*, got"):
        image.write(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2, 3)),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 2, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_picture_are_refused(tmp_path: Path, array: Array) -> None:
    with pytest.raises(ImageError, match="expected uint8"):
        image.write(tmp_path / "a.png", array)


def test_sizes_that_a_format_cannot_hold_are_refused(tmp_path: Path) -> None:
    wide = np.zeros((1, 65_535, 3), np.uint8)
    for suffix in (".jpg", ".webp"):
        with pytest.raises(ImageError, match="cannot hold a picture of 65535x1 pixels"):
            image.write(tmp_path / f"wide{suffix}", wide)
    image.write(tmp_path / "wide.png", wide)
    assert [path.name for path in tmp_path.iterdir()] == ["wide.png"]


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        image.write(tmp_path / "none" / "a.png", np.zeros((2, 2, 3), np.uint8))


def test_folder_lists_the_pictures_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.txt", "._b.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "d.jpg").mkdir()
    assert [path.name for path in image.folder(tmp_path)] == ["a.PNG", "b.jpg"]


def test_folder_refuses_what_holds_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no picture directly in"):
        image.folder(tmp_path)
    with pytest.raises(ImageError, match="cannot list the folder"):
        image.folder(tmp_path / "none")


def test_the_evaluation_photos_are_read(shared: Path) -> None:
    """Greyscale JPEGs are among them."""
    photos = image.folder(shared / "data" / "voc100" / "images")
    assert all(image.read(photo).shape[2] == 3 for photo in photos)
