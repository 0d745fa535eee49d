"""tau and dilation of each task, by bits, on photos that the network's training kept apart.

python experiments/03_tma/choose.py [--run runs/roi2] [--photos 12]

The bits that coding by words costs beside coding by the labels of the photo, at equal PSNR inside
these; sigma and detail are the task's. Prints a line a setting: mean and median over the photos.
"""

import argparse
import itertools
import logging
from pathlib import Path

import cv2
import numpy as np

from vcm import pipeline, task
from vcm.bd import bd_rate
from vcm.codec.api import Codec
from vcm.errors import MetricError
from vcm.metrics.distortion import psnr
from vcm.rd import RDCurve, RDPoint
from vcm.roi import backend_for
from vcm.roi.acquire import acquire, look
from vcm.roi.mask import RoiMask
from vcm.roi.text import Words, words_of
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_photos import LabelledPhoto, gather, kept_apart
from vcm.train.roi_score import truth

TASKS = ("coco-person", "coco-vehicles", "coco-animals", "coco-all", "voc-seg")
TAUS, DILATIONS = (0.15, 0.25, 0.4, 0.55), (0, 8, 16)
QUALITIES = (15, 40, 65, 90)
SHARE = (0.02, 0.6)  # of a photo that is labelled: less or more says little about masks


def labelled(photo: LabelledPhoto, words: Words) -> tuple[np.ndarray, np.ndarray]:
    """The photo and what its labels say that the words show: (H, W) bool."""
    pixels, planes = photo.load()
    wanted = {i for phrase in words.phrases for i in vocabulary().cover(phrase)}
    wanted -= {i for phrase in words.exclude for i in vocabulary().cover(phrase)}
    there = np.any([truth(planes, i + 1)[0] for i in wanted], axis=0)
    whole = cv2.resize(there.astype(np.uint8), pixels.shape[1::-1], interpolation=0)
    return pixels, whole.astype(np.bool_)


def curve(picture: np.ndarray, mask: RoiMask, true: np.ndarray, codec: Codec) -> RDCurve:
    """PSNR inside the labels over the file's size."""
    points = []
    for quality in QUALITIES:
        data = pipeline.encode(picture, mask, codec, quality=quality)
        inside = psnr(picture, pipeline.decode(data, codec), true)
        points.append(RDPoint(8 * len(data), true.size, inside))
    return RDCurve("", "ROI-PSNR, dB", tuple(points))


def costs(name: str, photos: list[LabelledPhoto], count: int, codec: Codec) -> None:
    """A line for each setting of a task."""
    spec = task.find_task(name)
    words, backend = words_of(spec), backend_for(spec)
    pairs = (labelled(photo, words) for photo in photos)
    chosen = (pair for pair in pairs if SHARE[0] <= pair[1].mean() <= SHARE[1])
    rates: dict[tuple[float, int], list[float]] = {}
    for picture, true in itertools.islice(chosen, count):
        best = curve(picture, RoiMask(true, spec.sigma, ""), true, codec)
        for tau in TAUS:
            found = look(picture, words, backend, tau)
            for dilation in DILATIONS:
                mask = acquire(
                    picture, words, backend,
                    sigma=spec.sigma, tau=tau, dilation=dilation, found=found,
                )  # fmt: skip
                try:
                    rate = bd_rate(best, curve(picture, mask, true, codec))
                except MetricError:
                    rate = float("nan")
                rates.setdefault((tau, dilation), []).append(rate)
    for (tau, dilation), values in rates.items():
        mean, median = np.nanmean(values), np.nanmedian(values)
        lost = int(np.isnan(values).sum())
        print(
            f"{name:<14} tau {tau:.2f} dilation {dilation:>2}: mean {mean:+6.1f} %, median "
            f"{median:+6.1f} %, {len(values)} photos, {lost} without a number",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train"))
    parser.add_argument("--more", type=Path, default=Path("runs/more/words"))
    parser.add_argument("--run", type=Path, default=Path("runs/roi2"))
    parser.add_argument("--photos", type=int, default=12)
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # "found nothing" is what is counted
    data = given.data
    found = gather(data / "images", data / "voc_class_masks", given.more, given.run)
    apart = kept_apart(found)
    kept = sorted(photo for photo in found if photo.path in apart)
    np.random.default_rng(0).shuffle(kept)  # type: ignore[arg-type]
    for name in TASKS:
        costs(name, kept, given.photos, Codec.load())


if __name__ == "__main__":
    main()
