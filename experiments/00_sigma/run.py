"""What sigma does at a fixed quality, on photos with true masks; writes results.json."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO

from vcm import image, pipeline
from vcm.codec.api import Codec
from vcm.metrics.distortion import psnr
from vcm.provenance import provenance
from vcm.roi.mask import RoiMask

SIGMAS = (1.0, 0.3, 0.1, 0.03)
TOLERANCE = 0.3  # dB that the ROI may lose


def photos(folder: Path, limit: int | None) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """File name and union of the true masks of each photo in which they cover 2 to 90 %."""
    coco = COCO(folder / "instances.json")
    for entry in coco.loadImgs(coco.getImgIds())[:limit]:
        annotations = coco.loadAnns(coco.getAnnIds(entry["id"]))
        roi = np.zeros((entry["height"], entry["width"]), np.bool_)
        for annotation in annotations:
            roi |= coco.annToMask(annotation).astype(np.bool_)
        if 0.02 <= roi.mean() <= 0.9:
            yield entry["file_name"], roi


def measure(path: Path, roi: NDArray[np.bool_], codec: Codec, quality: float) -> list[dict]:
    """Bytes and PSNR inside and outside for each sigma."""
    picture = image.read(path)
    rows = []
    for sigma in SIGMAS:
        data = pipeline.encode(picture, RoiMask(roi, sigma, "true mask"), codec, quality=quality)
        decoded = pipeline.decode(data, codec)
        inside, outside = psnr(picture, decoded, roi), psnr(picture, decoded, ~roi)
        rows.append({"sigma": sigma, "bytes": len(data), "roi": inside, "background": outside})
    return rows


def falls(rows: list[dict], key: str) -> bool:
    """Whether a number falls with every step of sigma."""
    values = [row[key] for row in rows]
    return all(a > b for a, b in zip(values, values[1:], strict=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco213"))
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    codec = Codec.load(options.weights)
    results, kept = {}, 0
    for name, roi in photos(options.data, options.limit):
        rows = measure(options.data / "images" / name, roi, codec, options.quality)
        loss = rows[0]["roi"] - min(row["roi"] for row in rows)
        good = falls(rows, "bytes") and falls(rows, "background") and loss <= TOLERANCE
        kept += good
        results[name] = rows
        print(
            f"{name} {'ok ' if good else 'NOT'} bytes {[r['bytes'] for r in rows]} "
            f"ROI {[round(r['roi'], 2) for r in rows]} "
            f"background {[round(r['background'], 2) for r in rows]}"
        )
    means = {
        f"sigma {sigma:g}": {
            key: float(np.mean([rows[i][key] for rows in results.values()]))
            for key in ("bytes", "roi", "background")
        }
        for i, sigma in enumerate(SIGMAS)
    }
    print(json.dumps(means, indent=1))
    print(f"{kept} of {len(results)} photos: bytes and background fall, ROI within {TOLERANCE} dB")
    summary = {"quality": options.quality, "photos": len(results), "kept": kept, "means": means}
    summary["provenance"] = provenance()
    Path(__file__).with_name("results.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
