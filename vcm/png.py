"""Chunks of PNG files: what Pillow does not tell, or refuses to pass over."""

import io
import struct
from collections.abc import Iterator
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # and colour profiles
TURNED: Final = b"Raw profile type exif\0"  # where older programs keep how a picture is turned


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk, as far as they are whole."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += length + 12


def significant_bits(data: bytes) -> int | None:
    """Bits of a sample that mean something, by the sBIT chunk; None if there is none."""
    for kind, body in chunks(data[: 2**16]):
        if kind == b"sBIT" and body:
            return max(body)
        if kind == b"IDAT":
            break
    return None


def without_texts(data: bytes, but: bytes | None = None) -> bytes:
    """The same picture without texts and colour profile, which Pillow reads up to 1 MiB only.

    Args:
        but: how texts begin that are kept.
    """
    kept = io.BytesIO()
    kept.write(SIGNATURE)
    at = len(SIGNATURE)
    for kind, body in chunks(data):
        end = at + 12 + len(body)
        if kind not in TEXTS or (but is not None and body.startswith(but)):
            kept.write(data[at:end])
        at = end
    return kept.getvalue()
