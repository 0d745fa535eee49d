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
SAMPLES = (("person", ("person",), 100), ("all classes", (), 213), ("all classes", (), 100))
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
    """Of the plain bootstrap: what the interval was before."""
    low, high = np.percentile(resampled[np.isfinite(resampled)], [2.5, 97.5])
    return low, high


def simulated(both: list[Matches], size: int, trials: int, count: int) -> dict[str, dict]:
    """How often intervals of samples of so many photos hold the truth, and how wide they are."""
    images = both[0].positives.shape[1]
    truth = numbers(both, np.ones((1, images)))
    rng, rows = np.random.default_rng(0), dict[str, list[tuple[float, ...]]]()
    for trial in range(trials):
        chosen = np.eye(images)[rng.integers(images, size=size)]  # (size, images)
        halves = resamples(size, count, seed=trial) @ chosen
        doubles = rng.multinomial(size, np.full(size, 1 / size), size=count) @ chosen
        for name, way, weights in (
            ("interval", interval, halves),
            ("percentiles", percentiles, np.concatenate([halves[:1], doubles])),
        ):
            for metric, values in numbers(both, weights).items():
                low, high = way(float(values[0]), values[1:])
                true = truth[metric][0]
                row = (low <= true <= high, true < low, true > high, high - low)
                rows.setdefault(f"{metric}, {name}", []).append(row)
    keys = ("holds", "truth_below", "truth_above", "width")
    return {k: dict(zip(keys, np.mean(v, 0).tolist(), strict=True)) for k, v in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco213"))
    parser.add_argument("--model", default="../shared/weights/yolo11n.pt")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=150)
    options = parser.parse_args()
    data, detector, results = load(options.data), load_model(options.model), {}
    seen, truth = detected(data, detector), coco(data.annotations)
    ids = [photo.id for photo in data.photos]
    for name, classes, size in SAMPLES:
        both = [matches(truth, ids, found, detector.names, classes) for found in seen]
        key = f"{name}, {size} photos"
        results[key] = simulated(both, size, options.trials, options.resamples)
        print(key, json.dumps(results[key], indent=1), flush=True)
        told = {"trials": options.trials, "resamples": options.resamples, "results": results}
        (HERE / "results.json").write_text(json.dumps(told | provenance(), indent=1) + "\n")


if __name__ == "__main__":
    main()
