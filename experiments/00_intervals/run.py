"""Whether 95 % intervals of AP cover about 95 %: samples of photos whose true AP is known.

The photos of a set, all equally likely, are the population: its AP is that of the set. Samples are
drawn from it, and each sample's interval either holds the population's AP or does not. A sample is
a row of weights, and so is a resample of it: nothing is detected twice. Writes results.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm.anchors import ANCHORS
from vcm.dataset import DataSet, coco, load
from vcm.evaluate.intervals import interval, resamples
from vcm.metrics.detection import Matches, matches
from vcm.models import load_model
from vcm.provenance import provenance
from vcm.scale.sources import read
from vcm.vision.base import Objects

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
# Set, what counts, classes, photos and samples of so many.
SAMPLES = (
    ("coco213", "person", ("person",), 100, 200),
    ("coco213", "all classes", (), 213, 100),
    ("train", "person", ("person",), 100, 200),
)
QUALITY = 40  # of the JPEG whose AP is compared with that of the photos themselves


def detected(data: DataSet, detector: Any) -> list[dict[int, Objects]]:
    """What a detector finds in the photos, and in the same as JPEG; by their ids."""
    jpeg, seen = ANCHORS["jpeg"], [{}, {}]
    for photo in data.photos:
        picture = read(photo)
        coded = jpeg.decode(jpeg.encode(picture, QUALITY), *picture.shape[:2])
        for found, pixels in zip(seen, (picture, coded), strict=True):
            found[photo.id] = detector.detect(pixels)
    return seen


def numbers(both: list[Matches], weights: Floats) -> dict[str, Floats]:
    """AP, and how much JPEG takes of it, of each row of weights."""
    whole, coded = (m.scores(weights)["AP"] for m in both)
    return {"AP": whole, "difference": coded - whole}


def percentiles(value: float, resampled: Floats) -> tuple[float, float]:
    """Of the resamples as they are."""
    low, high = np.percentile(resampled[np.isfinite(resampled)], [2.5, 97.5])
    return low, high


def centred(value: float, resampled: Floats) -> tuple[float, float]:
    """The percentiles, moved until the value is in the middle of the resamples."""
    known = resampled[np.isfinite(resampled)]
    low, high = np.percentile(known, [2.5, 97.5]) + value - np.median(known)
    return low, high


def simulated(both: list[Matches], size: int, trials: int, count: int) -> dict[str, dict]:
    """How often intervals of samples of so many photos hold the truth, and how wide they are."""
    images = both[0].positives.shape[1]
    truth = numbers(both, np.ones((1, images)))
    rng, rows = np.random.default_rng(1), dict[str, list[tuple[float, ...]]]()
    for trial in range(trials):
        chosen = np.eye(images)[rng.integers(images, size=size)]  # (size, images)
        for metric, values in numbers(both, resamples(size, count, seed=trial) @ chosen).items():
            for way in (interval, percentiles, centred):
                low, high = way(float(values[0]), values[1:])
                true = truth[metric][0]
                row = (low <= true <= high, true < low, true > high, high - low)
                rows.setdefault(f"{metric}, {way.__name__}", []).append(row)
    keys = ("holds", "truth_below", "truth_above", "width")
    return {k: dict(zip(keys, np.mean(v, 0).tolist(), strict=True)) for k, v in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="../shared/weights/yolo11n.pt")
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    detector, results, found = load_model(options.model), {}, {}
    for folder, name, classes, size, trials in SAMPLES:
        data = load(options.data / folder)
        if folder not in found:
            found[folder] = detected(data, detector)
        truth, ids = coco(data.annotations), [photo.id for photo in data.photos]
        both = [matches(truth, ids, seen, detector.names, classes) for seen in found[folder]]
        key = f"{folder}, {name}, {size} photos"
        results[key] = {"samples": trials} | simulated(both, size, trials, options.resamples)
        print(key, json.dumps(results[key], indent=1), flush=True)
        told = {"resamples": options.resamples, "results": results}
        (HERE / "results.json").write_text(json.dumps(told | provenance(), indent=1) + "\n")


if __name__ == "__main__":
    main()
