"""The .vcm file of any version: packed, unpacked, described, read. Standard library only.

A version is a module, as `v2`, and a row of `VERSIONS`. docs/bitstream.md is the normative text.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from vcm.container import foreign, v1, v2
from vcm.container.header import MAX_PIXELS, MAX_SIDE, Header
from vcm.container.sections import MAX_BYTES, NAMES, Bitstream, check_text
from vcm.container.v1 import MAGIC
from vcm.container.v2 import VERSION
from vcm.errors import BitstreamError

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "VERSIONS",
    "VERSION",
    "Bitstream",
    "Header",
    "check_text",
    "describe",
    "pack",
    "read",
    "unpack",
]


class Version(NamedTuple):
    """A version of the file: how a picture is packed, and unpacked."""

    pack: Callable[[Bitstream], bytes]
    unpack: Callable[[bytes], Bitstream]


VERSIONS: Final = {
    v1.VERSION: Version(v1.pack, v1.unpack),
    v2.VERSION: Version(v2.pack, v2.unpack),
}


def pack(stream: Bitstream) -> bytes:
    """The whole file, in the version that the stream names: the newest, for new pictures.

    Raises:
        BitstreamError: the file would be longer than `MAX_BYTES`.
    """
    return VERSIONS[stream.version].pack(stream)


def unpack(data: bytes) -> Bitstream:
    """The picture in the bytes of a file, which must be complete and undamaged.

    `pack(unpack(data)) == data` whenever this returns: equal contents have equal bytes.

    Raises:
        BitstreamError: for any other bytes. Time and memory are bounded by `len(data)`.
    """
    return VERSIONS[_version(data)].unpack(data)


def describe(data: bytes) -> dict[str, Any]:
    """What `vcm info` prints of a file: plain values that JSON can hold.

    Raises:
        BitstreamError: as `unpack`.
    """
    bitstream = unpack(data)
    header = bitstream.header
    return {
        "version": _version(data),
        "height": header.height,
        "width": header.width,
        "bytes": len(data),
        "bpp": 8 * len(data) / (header.height * header.width),
        "quality": header.quality / 100,
        "tile": header.tile,
        "fingerprint": header.fingerprint.hex(),
        "sections": {NAMES[id_]: len(body) for id_, body in bitstream.sections().items()},
        "text": bitstream.text,
    }


def read(path: str | Path) -> bytes:
    """The bytes of a whole .vcm file, checked by `unpack`.

    Raises:
        BitstreamError: no such file, unreadable, damaged, foreign, of another version, or over
            `MAX_BYTES`, which is checked before the rest is read. The message names the file.
    """
    path = Path(path)
    if path.is_dir():
        raise BitstreamError(f"{str(path)!r} is a folder; expected a .vcm file")
    try:
        with path.open("rb") as file:
            data = file.read(64)
            _version(data)
            length = os.fstat(file.fileno()).st_size  # 0 for a pipe
            if length <= MAX_BYTES:
                data += file.read(MAX_BYTES + 1 - len(data))
                length = len(data)
            if length > MAX_BYTES:
                raise BitstreamError(f"expected at most {MAX_BYTES} bytes, got {length}")
            unpack(data)
            return data
    except BitstreamError as error:
        raise BitstreamError(f"{str(path)!r}: {error}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise BitstreamError(f"cannot read {str(path)!r}: {reason}; check the name") from error


def _version(data: bytes) -> int:
    """The version in a file's first bytes; for other kinds of files, the error names the kind."""
    if not data:
        raise BitstreamError("the file is empty; copy or download it again")
    if not data.startswith(MAGIC[: len(data)]):
        if name := foreign.name_of(data):
            raise BitstreamError(f"expected a .vcm file, got {name}")
        raise BitstreamError(
            f"expected a .vcm file, which begins {MAGIC.hex(' ')}, got {data[:4].hex(' ')}"
        )
    version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
    if version not in VERSIONS:
        raise BitstreamError(
            f"the file has format version {version}, this vcm reads {min(VERSIONS)} to {VERSION}: "
            f"it was made by a newer vcm (update yours) or is damaged"
        )
    return version
