"""Two models on one photo with a box as ROI: bytes, PSNR of the ROI and of the background.

python experiments/02_roi/beside.py [--photo FILE] [--weights base next]

A look at weights on their way, not a study: what one photo says is true of one photo.
"""

import argparse
from pathlib import Path

import numpy as np

import vcm
from vcm import image
from vcm.metrics.distortion import psnr

PHOTO = Path("../shared/data/kodak/kodim23.png")
BOX = (slice(100, 420), slice(200, 560))  # rows and columns
USED = ((60, 1.0), (60, 0.5), (60, 0.3), (60, 0.1), (30, 0.3))  # quality and sigma


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--weights", nargs="*", default=["base", "next"])
    options = parser.parse_args()
    photo = image.read(options.photo)
    roi = np.zeros(photo.shape[:2], np.bool_)
    roi[BOX] = True
    print("weights  quality  sigma   bytes  ROI dB  background dB")
    for weights in options.weights:
        codec = vcm.Codec.load(weights)
        for quality, sigma in USED:
            data = vcm.encode(photo, vcm.RoiMask(roi, sigma, "a box"), codec, quality=quality)
            decoded = vcm.decode(data, codec)
            inside, outside = (psnr(photo, decoded, where) for where in (roi, ~roi))
            numbers = f"{quality:7} {sigma:6g} {len(data):7} {inside:7.2f} {outside:14.2f}"
            print(f"{Path(weights).stem:8} {numbers}", flush=True)


if __name__ == "__main__":
    main()
