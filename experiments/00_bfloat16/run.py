"""How far pictures decoded in bfloat16 are from float32; writes results.json."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from click import progressbar

from vcm import image, pipeline
from vcm.codec.api import Codec
from vcm.files import write_atomic
from vcm.provenance import provenance
from vcm.roi.mask import RoiMask

HERE = Path(__file__).parent
SIGMAS = (1.0, 0.1)
QUALITIES = (20, 50, 80, 95)


def apart(path: Path, sigma: float, codecs: tuple[Codec, Codec]) -> list[np.ndarray]:
    """Absolute differences of one photo's pictures, an array of uint8 for each quality.

    The ROI is the middle half, each way.
    """
    photo = image.read(path)
    height, width = photo.shape[:2]
    roi = np.zeros((height, width), np.bool_)
    roi[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    mask, found = RoiMask(roi, sigma, "the middle"), []
    for quality in QUALITIES:
        data = pipeline.encode(photo, mask, codecs[1], quality=quality)
        fast, plain = (pipeline.decode(data, codec).astype(np.int16) for codec in codecs)
        found.append(np.abs(fast - plain).astype(np.uint8))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train/images"))
    parser.add_argument("--photos", type=int, default=20)
    options = parser.parse_args()
    files = image.folder(options.data)
    chosen = files[:: len(files) // options.photos][: options.photos]
    codecs = Codec.load(bf16=True), Codec.load(bf16=False)
    table: dict[str, dict[str, float]] = {}
    for sigma in SIGMAS:
        with progressbar(chosen, label=f"sigma {sigma:g}") as bar, torch.inference_mode():
            differences = [d for path in bar for d in apart(path, sigma, codecs)]
        beyond = [float((d > 1).mean()) for d in differences]
        table[f"sigma {sigma:g}"] = {
            "largest difference": max(int(d.max()) for d in differences),
            "share beyond 1, mean": float(np.mean(beyond)),
            "share beyond 1, worst picture": max(beyond),
        }
        print(f"sigma {sigma:g}: {table[f'sigma {sigma:g}']}")
    result = {"photos": len(chosen), "qualities": QUALITIES, "table": table}
    result["provenance"] = provenance()
    write_atomic(HERE / "results.json", (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
