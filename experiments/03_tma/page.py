"""Twenty words on free photos, with the masks they get, failures included: docs/tma.jpg.

The photos come with scikit-image and scikit-learn; those of the data sets may not be passed on.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.color import gray2rgb
from sklearn.datasets import load_sample_image

from vcm import draw, image
from vcm.errors import UnknownWord
from vcm.roi import load_backend
from vcm.roi.acquire import look, select
from vcm.roi.base import Backend
from vcm.roi.text import parse

TARGET = Path(__file__).parents[2] / "docs" / "tma.jpg"
WIDTH, COLUMNS = 240, 5
Image = NDArray[np.uint8]


def cases() -> Iterator[tuple[Image, str]]:
    """Photos and words; some of what is asked for is not there."""
    motorcycle = image.read(Path(data.__file__).parent / "motorcycle_left.png")
    photos = {
        "cat": (data.chelsea(), ("cat", "kitten", "animals", "dog")),
        "astronaut": (data.astronaut(), ("woman", "face", "person -face", "car")),
        "coffee": (data.coffee(), ("coffee", "spoon", "tableware", "wine glass")),
        "motorcycle": (motorcycle, ("motorcycle", "vehicles", "bike")),
        "cameraman": (gray2rgb(data.camera()), ("man", "tripod")),
        "rocket": (data.rocket(), ("airplane",)),
        "flower": (load_sample_image("flower.jpg"), ("plant",)),
        "china": (load_sample_image("china.jpg"), ("people",)),
    }
    for photo, words in photos.values():
        yield from ((photo, text) for text in words)


def panel(photo: Image, text: str, backend: Backend) -> Image:
    """The photo with the mask of some words outlined, and what there is to say."""
    try:
        similarity = look(photo, parse(text), backend).similarity
    except UnknownWord as error:
        return draw.captioned(photo, [f'"{text}"', str(error).split(";")[0]], WIDTH)
    roi = select(similarity, backend.tau, backend.tau * backend.growth)
    said = f"{100 * roi.mean():.0f} % of the picture" if roi.any() else "nothing found"
    return draw.captioned(draw.outlined(photo, roi), [f'"{text}"', said], WIDTH)


def main() -> None:
    backend = load_backend("embedded")
    panels = [panel(photo, text, backend) for photo, text in cases()]
    rows = [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    image.write(TARGET, draw.sheet(rows))
    print(f"{TARGET}: {len(panels)} panels")


if __name__ == "__main__":
    main()
