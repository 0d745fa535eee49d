"""The tau of the built-in network, from training photos that it never saw, and what a look costs.

python experiments/03_tma/held_out.py
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from vcm import image
from vcm.roi.embedded import DEFAULT, Embedded, load_network
from vcm.train.roi import RoiTraining
from vcm.train.roi_data import Sample, kept_apart
from vcm.train.roi_labels import with_voc
from vcm.train.roi_score import score

SIZE, RUNS = (640, 480), 15


def sample(photo: Path, voc_masks: Path) -> Sample:
    """A photo with what people drew on it."""
    pixels = image.read(photo)
    nothing = np.zeros(pixels.shape[:2], np.uint8)
    voc = np.asarray(Pillow.open(voc_masks / f"{photo.stem}.png"))
    return Sample(pixels, with_voc(nothing, voc))


def milliseconds(detail: int, photo: np.ndarray) -> float:
    """Median time of one word's map."""
    backend, times = Embedded(detail=detail), []
    for _ in range(RUNS + 4):
        start = time.perf_counter()
        list(backend.similarity(photo, ["person"]))
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[4:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train"))
    given = parser.parse_args()
    photos, masks = given.data / "images", given.data / "voc_class_masks"
    kept = sorted(kept_apart(photos, masks, RoiTraining.held_out))
    samples = [sample(photo, masks) for photo in kept]
    found = score(load_network(DEFAULT)[0], samples)
    print(f"{len(samples)} photos: IoU {found.mean:.1f} at tau {found.tau:g}")
    print(f"absent classes rightly empty: {100 * found.empty:.1f} %")
    picture = cv2.resize(samples[0].pixels, SIZE)
    for detail in (1, 2):
        print(f"detail {detail} at {SIZE[0]}x{SIZE[1]}: {milliseconds(detail, picture):.0f} ms")


if __name__ == "__main__":
    main()
