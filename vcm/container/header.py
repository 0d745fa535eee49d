"""What a decoder knows about a picture before it reads a section, whatever the file's version."""

import dataclasses
from dataclasses import dataclass
from typing import Final

from vcm.container import fields
from vcm.container.fields import Field
from vcm.errors import BitstreamError

MAX_SIDE: Final = 65_535
MAX_PIXELS: Final = 2**28  # 268 million: bounds what a decoder has to allocate
FIELDS: Final = (
    Field("fingerprint", "8s", None, "of the decoder's tensors: section 3"),
    Field("height", "I", range(1, MAX_SIDE + 1), "rows of the picture"),
    Field("width", "I", range(1, MAX_SIDE + 1), "columns; height * width is at most 2^28"),
    Field("quality", "H", range(10_001), "quality in hundredths: 0 is worst, 10000 best"),
    Field("tile", "H", None, "side of a tile in latents of 16 x 16 pixels; 0: not tiled"),
)


@dataclass(frozen=True)
class Header:
    """Size, control and model of a picture.

    Attributes:
        fingerprint: 8 bytes that name the tensors which a decoder needs.
        height: rows, 1 to 65535.
        width: columns, 1 to 65535; height * width is at most 2**28.
        quality: in hundredths, 0 to 10000.
        tile: side of a tile in latents of 16 pixels, 0 when not tiled.

    Raises:
        BitstreamError: if a value is not as above.
    """

    fingerprint: bytes
    height: int
    width: int
    quality: int
    tile: int = 0

    def __post_init__(self) -> None:
        fields.check(FIELDS, dataclasses.asdict(self), "header")
        if self.height * self.width > MAX_PIXELS:
            raise BitstreamError(
                f"header: expected at most {MAX_PIXELS} pixels, got {self.width} x {self.height}"
            )

    @classmethod
    def of(cls, values: fields.Values) -> "Header":
        """From the values of a file's fields, of which only the header's are used."""
        return cls(**{field.name: values[field.name] for field in FIELDS})
