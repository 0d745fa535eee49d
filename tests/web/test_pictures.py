"""Photos as the page takes them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from vcm import image
from vcm.errors import ImageError
from vcm.web.pictures import MAX_PIXELS, opened, placeless


def _header_only(width, height):
    """A PNG file that says how large it is, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 100) + b"IDAT"


def test_a_photo_is_read_by_its_content(tmp_path, cat):
    image.write(tmp_path / "cat.png", cat)
    path = (tmp_path / "cat.png").rename(tmp_path / "cat.jfif")
    assert np.array_equal(opened(path), cat)


def test_a_huge_photo_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(_header_only(MAX_PIXELS // 4000 + 1, 4000))
    with pytest.raises(ImageError, match="24 megapixels"):
        opened(path)


@pytest.mark.parametrize("size", [(4000, 4000), (20_000, 20_000), (100_000, 1)])
def test_another_broken_photo_is_named_without_its_folder(tmp_path, size):
    path = tmp_path / "broken.png"
    path.write_bytes(_header_only(*size))
    with pytest.raises(ImageError) as caught:
        opened(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b/c/d e.toml: key 'x/y' is missing", "d e.toml: key 'x/y' is missing"),
        ("'/a/b/x.png' is not a picture", "'x.png' is not a picture"),
        ("coco-cat: or ./x.toml, /a/bc/x", "coco-cat: or ./x.toml, /a/bc/x"),
    ],
)
def test_folders_of_the_server_are_left_out(text, expected):
    assert placeless(text, Path("/a/b")) == expected
