"""The map of a .vcm file: its levels, and a picture of it. No torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm import container, draw, image
from vcm.codec.format import levels
from vcm.codec.format.constants import QUALITY_STEPS, STRIDE, latent_size
from vcm.codec.format.levels import LevelMap
from vcm.errors import SpecError

HUNDREDTHS = QUALITY_STEPS // 100


def level_map(data: bytes) -> LevelMap | None:
    """The map of a file; None if it has one quality everywhere.

    Raises:
        BitstreamError: if it is damaged.
    """
    stream = container.unpack(data)
    header = stream.header
    h, w = latent_size(header.height, header.width)
    return levels.unpack(stream.map, header.quality, h, w)


def levels_of(found: LevelMap) -> list[dict[str, float]]:
    """The levels as a report has them, the best first.

    "quality" is 100 at most, and below 0 for what hardly matters; "share" is that of the picture's
    16-pixel squares, in [0, 1].
    """
    counts = np.bincount(found.index.ravel(), minlength=len(found.qualities))
    return [
        {"quality": quality / HUNDREDTHS, "share": int(count) / found.index.size}
        for quality, count in zip(found.qualities, counts, strict=True)
    ]


def drawn(source: Path, output: Path) -> dict[str, Any]:
    """Draw the map of a file, white where the quality is best; its levels come back.

    Raises:
        BitstreamError: if it is no whole file.
        SpecError: if it has no map.
    """
    image.format_of(output)  # refuse a bad name before the work
    data = container.read(source)
    found = level_map(data)
    if found is None:
        raise SpecError(f"{source}: has no map: all of it has quality {_quality(data):g}")
    header = container.unpack(data).header
    pixels = _enlarged(found.hundredths, header.height, header.width).astype(np.float32)
    low, high = found.qualities[-1], found.qualities[0]
    grey = draw.grey((pixels - low) / max(1, high - low))
    told = levels_of(found)
    image.write(output, draw.sheet([[draw.captioned(grey, ["; ".join(shown(told))], 640)]]))
    return {"levels": told, "sheet": str(output)}


def shown(levels: list[dict[str, float]]) -> list[str]:
    """Levels for people."""
    return [f"quality {one['quality']:g} on {100 * one['share']:.1f} %" for one in levels]


def _quality(data: bytes) -> float:
    """The quality of a file, the best of its levels where it has a map."""
    return container.unpack(data).header.quality / HUNDREDTHS


def _enlarged(plane: NDArray[np.int32], height: int, width: int) -> NDArray[np.int32]:
    """A value of each latent as one of each pixel: (height, width)."""
    return plane.repeat(STRIDE, 0).repeat(STRIDE, 1)[:height, :width]
