"""Whether 95 % intervals of AP cover about 95 %: samples of photos whose true AP is known.

The photos of a set, all equally likely, are the population: its AP is that of the set. Samples are
drawn from it, and each sample's interval either holds the population's AP or does not. A sample is
a row of weights, and so is a resample of it: nothing is detected twice.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vcm.anchors import ANCHORS
from vcm.dataset import DataSet, coco, load
from vcm.evaluate.intervals import interval
from vcm.metrics.detection import Matches, matches
from vcm.models import load_model
from vcm.provenance import provenance
from vcm.scale.sources import read

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
QUALITY = 40  # of the JPEG whose AP is compared with that of the photos themselves


def detected(data: DataSet, model: str, classes: Sequence[str]) -> list[Matches]:
    """Matches of the photos as they are, and of the same as JPEG."""
    detector, truth, jpeg = load_model(model), coco(data.annotations), ANCHORS["jpeg"]
    seen: list[dict] = [{}, {}]
    for photo in data.photos:
        picture = read(photo)
        seen[0][photo.id] = detector.detect(picture)
        coded = jpeg.encode(picture, QUALITY)
        seen[1][photo.id] = detector.detect(jpeg.decode(coded, *picture.shape[:2]))
    ids = [photo.id for photo in data.photos]
    return [matches(truth, ids, found, detector.names, classes) for found in seen]


def numbers(both: list[Matches], weights: Floats) -> dict[str, Floats]:
    """AP, and how much JPEG takes of it, of each row of weights."""
    whole, coded = (m.scores(weights)["AP"] for m in both)
    return {"AP": whole, "difference": coded - whole}


def percentiles(value: float, resampled: Floats) -> dict[str, float]:
    """What the interval was before: for comparison."""
    low, high = np.percentile(resampled[np.isfinite(resampled)], [2.5, 97.5])
    return {"low": low, "high": high}


def simulated(both: list[Matches], size: int, trials: int, resamples: int) -> dict[str, dict]:
    """How often the intervals of samples of so many photos hold the truth, and their width."""
    images = both[0].positives.shape[1]
    truth = numbers(both, np.ones((1, images)))
    rng, rows = np.random.default_rng(0), dict[str, list[list[float]]]()
    for _ in range(trials):
        sample = rng.multinomial(size, np.full(images, 1 / images))
        drawn = rng.multinomial(size, sample / size, size=resamples)
        found = numbers(both, np.concatenate([sample[None], drawn]).astype(np.float64))
        for metric, values in found.items():
            for name, way in (("interval", interval), ("percentiles", percentiles)):
                ends = way(float(values[0]), values[1:])
                holds = ends["low"] <= truth[metric][0] <= ends["high"]
                row = [holds, ends["high"] - ends["low"], truth[metric][0] < ends["low"]]
                rows.setdefault(f"{metric}, {name}", []).append(row)
    keys = ("covers", "width", "truth_below")
    return {k: dict(zip(keys, np.mean(v, 0).tolist(), strict=True)) for k, v in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco213"))
    parser.add_argument("--model", default="../shared/weights/yolo11n.pt")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 213])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    data, results = load(options.data), {}
    for name, classes in (("all classes", ()), ("person", ("person",))):
        both = detected(data, options.model, classes)
        for size in options.sizes:
            found = simulated(both, size, options.trials, options.resamples)
            results[f"{name}, {size} photos"] = found
            print(name, size, json.dumps(found, indent=1), flush=True)
    told = {"trials": options.trials, "resamples": options.resamples, "results": results}
    (HERE / "results.json").write_text(json.dumps(told | provenance(), indent=1) + "\n")


if __name__ == "__main__":
    main()
