"""The sections of a file: what each id means, and which ones a reader may skip.

A section is critical or ancillary. A reader skips an ancillary section that it does not know; with
an unknown critical one it cannot decode the file. Files of version 1 have z, y, and maybe text.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Final

from vcm.container import fields
from vcm.container.header import Header
from vcm.errors import BitstreamError

MAX_BYTES: Final = 2**30  # of a whole file
MAX_TEXT: Final = 4_096  # bytes of UTF-8
ANCILLARY: Final = 128  # ids from here on are ancillary, those below are critical
Z: Final = 1
Y: Final = 2
TEXT: Final = 3
MAP: Final = 4
NAMES: Final = {Z: "z", Y: "y", TEXT: "text", MAP: "map"}

# Control characters, line separators, and marks that change the direction of text.
_UNSEEN: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Bitstream:
    """One coded picture: `8 * len(pack(bitstream))` is its rate in bits.

    Attributes:
        header: size, quality and model.
        z: the hyper-latent's section, may be empty.
        y: the latent's section, may be empty.
        text: the phrases that chose the ROI, if the user wanted them stored: 1 to 4096 bytes of
            UTF-8 without control characters, so it is safe to print.
        map: the section with the quality of each latent; empty: all have the header's.
        version: of the file; it decides how the bytes of z and y are ordered.
    """

    header: Header
    z: bytes
    y: bytes
    text: str | None = None
    map: bytes = b""
    version: int = 2

    def __post_init__(self) -> None:
        if self.text is not None:
            check_text(self.text)

    @classmethod
    def of(cls, header: Header, bodies: dict[int, bytes], version: int) -> "Bitstream":
        """From the bytes of each section by id.

        Raises:
            BitstreamError: if the text is not one that a file may hold.
        """
        body = bodies.get(TEXT)
        try:
            text = None if body is None else body.decode()
        except UnicodeDecodeError as error:
            raise BitstreamError(f"section text: not UTF-8 ({error})") from error
        return cls(header, bodies[Z], bodies[Y], text, bodies.get(MAP, b""), version)

    def sections(self) -> dict[int, bytes]:
        """The bytes of each section by id, in the order of the file."""
        text = {} if self.text is None else {TEXT: self.text.encode()}
        return {Z: self.z, Y: self.y, **text, **({MAP: self.map} if self.map else {})}


def check_length(data: bytes, end: int) -> None:
    """Raises a BitstreamError if a file that says it ends at `end` does not, or is too long."""
    if len(data) < end:
        raise fields.truncated(len(data), f"{end}")
    if len(data) > end:
        raise BitstreamError(
            f"expected a file of {end} bytes, got {len(data)}: something was appended to it"
        )
    if end > MAX_BYTES:
        raise BitstreamError(f"expected a file of at most {MAX_BYTES} bytes, got {end}")


def bodies(data: bytes, lengths: dict[int, int], start: int) -> dict[int, bytes]:
    """The bytes of each section that this program knows, by id; they lie one after the other.

    Args:
        lengths: of all sections by id, in the order of the file.

    Raises:
        BitstreamError: if there is a critical section that this program does not know.
    """
    found = {}
    for id_, length in lengths.items():
        if id_ in NAMES:
            found[id_] = data[start : start + length]
        elif id_ < ANCILLARY:
            raise BitstreamError(
                f"section {id_}: this vcm does not know it and cannot decode the file without "
                f"it; the file was made by a newer vcm: update yours"
            )
        start += length
    return found


def check_crc(data: bytes, expected: int, where: str) -> None:
    """Raises a BitstreamError if the bytes have another checksum."""
    found = zlib.crc32(data)
    if found != expected:
        raise BitstreamError(
            f"{where}: expected CRC-32 {expected:08x}, got {found:08x}: "
            f"the file is damaged; copy or download it again"
        )


def check_text(text: str) -> None:
    """Refuse a text that a file cannot hold; raises BitstreamError."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise BitstreamError(f"section text: not UTF-8 ({error})") from error
    if not 1 <= length <= MAX_TEXT:
        raise BitstreamError(f"section text: expected 1 to {MAX_TEXT} bytes, got {length}")
    if found := _UNSEEN.search(text):
        raise BitstreamError(f"section text: expected no control characters, got {found[0]!a}")
