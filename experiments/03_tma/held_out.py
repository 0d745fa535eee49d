"""The built-in network on the photos that its training kept apart, class by class, and its speed.

python experiments/03_tma/held_out.py [--run runs/roi2] [--weights FILE]

Without the folder of a training (its photos and label planes) only what the weights' card says.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from vcm import image, weightfile
from vcm.roi import session
from vcm.roi.embedded import DEFAULT, LOOKS, Embedded
from vcm.train.roi_photos import gather, kept_apart
from vcm.train.roi_score import score

SIZE, RUNS = (640, 480), 15


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
    parser.add_argument("--more", type=Path, default=Path("runs/more/words"))
    parser.add_argument("--run", type=Path)
    parser.add_argument("--weights", type=Path, default=DEFAULT)
    given = parser.parse_args()
    card = weightfile.card_of(given.weights)
    recall = json.loads(card["recall"])
    for name, iou in json.loads(card["iou"]).items():
        print(f"{name:<16} IoU {100 * iou:5.1f}  recall {100 * recall.get(name, np.nan):5.1f}")
    photos, masks = given.data / "images", given.data / "voc_class_masks"
    if given.run:
        found = gather(photos, masks, given.more, given.run)
        apart = kept_apart(found)
        kept = sorted(photo for photo in found if photo.path in apart)
        for detail, looks in LOOKS.items():
            s = score(session.load(given.weights)[0], kept, looks)
            print(
                f"detail {detail}: {len(kept)} photos, IoU {100 * np.nanmean(s.iou):.1f}, recall "
                f"{100 * np.nanmean(s.recall):.1f} at tau {s.tau:g}, {100 * s.empty:.1f} % empty"
            )
    picture = cv2.resize(image.read(image.folder(photos)[0]), SIZE)
    for detail in LOOKS:
        print(f"detail {detail} at {SIZE[0]}x{SIZE[1]}: {milliseconds(detail, picture):.0f} ms")


if __name__ == "__main__":
    main()
