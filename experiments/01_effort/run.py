"""What `--effort` saves: crops of training photos, real files; writes results.json."""

import argparse
import json
from pathlib import Path

import numpy as np
from click import progressbar
from numpy.typing import NDArray

import vcm
from vcm import image
from vcm.bd import bd_rate
from vcm.files import write_atomic
from vcm.metrics.distortion import psnr
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.roi.mask import RoiMask

HERE = Path(__file__).parent
PHOTOS = (50, 400, 700, 1100)  # places in the folder, by name
QUALITIES = (10, 30, 50, 70, 90)
STEPS = (30, 60, 120)
SIDE = 256


def crop(path: Path) -> NDArray[np.uint8]:
    """A part of a photo, away from its corner: (256, 256, 3) uint8 RGB."""
    return np.ascontiguousarray(image.read(path)[40 : 40 + SIDE, 60 : 60 + SIDE])


def curve(picture: NDArray[np.uint8], codec: vcm.Codec, steps: int) -> RDCurve:
    """PSNR over the bits of files, evenly coded."""
    even = RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "everything")
    points = []
    for quality in QUALITIES:
        data = vcm.encode(picture, even, codec, quality=quality, effort=steps)
        decoded = vcm.decode(data, codec)
        points.append(RDPoint(8 * len(data), SIDE * SIDE, psnr(picture, decoded)))
    return RDCurve(f"{steps} steps", "PSNR", tuple(points))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train/images"))
    options = parser.parse_args()
    files, codec = image.folder(options.data), vcm.Codec.load()
    pictures = [crop(files[place]) for place in PHOTOS]
    plain = [curve(picture, codec, 0) for picture in pictures]
    rates: dict[int, list[float]] = {}
    for steps in STEPS:
        with progressbar(list(zip(plain, pictures, strict=True)), label=f"{steps} steps") as bar:
            rates[steps] = [bd_rate(before, curve(p, codec, steps)) for before, p in bar]
        print(f"{steps} steps: {np.mean(rates[steps]):+.1f} %")
    result = {
        "BD-rate against no effort, %": {str(s): float(np.mean(r)) for s, r in rates.items()},
        "crops": {str(s): r for s, r in rates.items()},
        "provenance": provenance(),
    }
    write_atomic(HERE / "results.json", (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
