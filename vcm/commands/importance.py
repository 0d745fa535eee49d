"""`vcm importance`: what a task model looks at, as a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from vcm import draw, image
from vcm.commands import places
from vcm.image import AS_USUAL, Reading
from vcm.importance import Importance
from vcm.vision.importance import BLOCK


def run(
    source: Path, output: Path, name: str, device: str = "cpu", reading: Reading = AS_USUAL
) -> dict[str, Any]:
    """Draw the importance of a picture, red where it is largest; its spread comes back."""
    image.format_of(output)  # refuse a bad name before the work
    places.apart(output, source)
    look, picture = Importance(name, device), image.read(source, reading)
    values = look.values(picture)
    height, width = picture.shape[:2]
    pixels = values.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
    caption = [f"importance by {name}: mask values from {values.min():.2f} to {values.max():.2f}"]
    panels = [
        draw.captioned(picture, ["the picture"], 640),
        draw.captioned(draw.heat(picture, pixels), caption, 640),
    ]
    image.write(output, draw.sheet([panels]))
    tenth, half = (float(np.percentile(values, share)) for share in (10, 50))
    return {"importance": name, "median": half, "tenth": tenth, "sheet": str(output)}
