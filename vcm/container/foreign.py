"""How other files begin, for people who give the wrong one."""

from typing import Final

# offset, bytes, name
STARTS: Final = (
    (0, b"\x89VCM", "a .vcm picture"),
    (0, b"\x89VCS", "a .vcms stream of frames"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (4, b"ftyp", "an AVIF or HEIC picture or a video"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska video"),
    (0, b"YUV4MPEG2", "a y4m video"),
    (0, b"RIFF", "an AVI video or other RIFF file"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"<", "a web page or XML"),
    (0, b"version https://git-lfs", "a Git LFS pointer: run git lfs pull"),
)


def name_of(data: bytes) -> str | None:
    """What a file seems to be, by its first bytes; None if that is not known."""
    fits = (name for at, start, name in STARTS if data[at : at + len(start)] == start)
    return next(fits, None)
