"""The anchors that Pillow has: JPEG, WebP, JPEG 2000, AVIF."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as pillow

from vcm.anchors.base import Image


@dataclass(frozen=True)
class Pillow:
    """A format of Pillow.

    Attributes:
        name, settings: as for every anchor.
        format: Pillow's name of it.
        options: what `save` is told at a setting.
    """

    name: str
    format: str
    settings: tuple[int, ...]
    options: Callable[[int], dict[str, Any]]

    def encode(self, image: Image, setting: int) -> bytes:
        """The file, containers and all."""
        buffer = io.BytesIO()
        pillow.fromarray(image).save(buffer, self.format, **self.options(setting))
        return buffer.getvalue()

    def decode(self, data: bytes, height: int, width: int) -> Image:
        """The picture: (height, width, 3) uint8, RGB."""
        image = np.asarray(pillow.open(io.BytesIO(data)).convert("RGB"))
        assert image.shape == (height, width, 3)
        return image


JPEG = Pillow(
    "JPEG",  # 4:2:0
    "JPEG",
    (5, 10, 20, 30, 45, 60, 75, 85, 92),
    lambda quality: {"quality": quality, "optimize": True},
)
WEBP = Pillow(
    "WebP",
    "WEBP",
    (0, 5, 15, 30, 50, 70, 80, 88, 94),
    lambda quality: {"quality": quality, "method": 6},
)
JPEG2000 = Pillow(
    "JPEG 2000",
    "JPEG2000",
    (400, 240, 160, 100, 60, 40, 28, 18, 12),
    lambda ratio: {
        "quality_mode": "rates",
        "quality_layers": [float(ratio)],
        "irreversible": True,
        "mct": 1,  # the colour transform is off by default: 3 dB
    },
)
AVIF = Pillow(
    "AVIF",  # 4:2:0, by libaom; its default tuning is for perception, its default speed is 6
    "AVIF",
    (5, 15, 25, 35, 45, 55, 65, 75, 85),
    lambda quality: {
        "quality": quality,
        "speed": 4,  # better than 6, in five times the time (experiments/LOG.md)
        "max_threads": 1,  # their number changes the file
        "advanced": {"tune": "psnr"},
    },
)
