"""Photos as the page takes them: bounded, and named without their folders."""

import re
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from vcm import image
from vcm.errors import ImageError

Image = NDArray[np.uint8]  # (H, W, 3) RGB
MAX_PIXELS: Final = 24_000_000  # what a page can show while others wait


def opened(path: str | Path) -> Image:
    """The photo in a file; raises ImageError, also if it is too large for the page."""
    bounded(_pixels(Path(path)), "`vcm encode`")
    try:
        return image.read(path)
    except ImageError as error:
        raise ImageError(placeless(str(error), Path(path).parent)) from error


def bounded(pixels: int, command: str) -> None:
    """Raise ImageError if the page takes no such picture; the command does."""
    if pixels > MAX_PIXELS:
        raise ImageError(
            f"the picture has {pixels / 1e6:.0f} megapixels, the page takes "
            f"{MAX_PIXELS / 1e6:.0f}; {command} takes more"
        )


def placeless(text: str, folder: Path) -> str:
    """The text without the folders in and under `folder`: they say nothing to a visitor."""
    return re.sub(rf"{re.escape(str(folder))}/(\S*/)?", "", text)


def _pixels(path: Path) -> int:
    """As the file's header says, before anything is decoded; 0: `image.read` says what is wrong."""
    known = pillow.registered_extensions().items()
    formats = {name for suffix, name in known if image.is_picture(f"any{suffix}")} & set(
        pillow.OPEN
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs: they are what is looked for
            with pillow.open(path, formats=sorted(formats)) as photo:
                return photo.width * photo.height
    except Exception:  # Pillow's readers raise nearly anything on a damaged file
        return 0
