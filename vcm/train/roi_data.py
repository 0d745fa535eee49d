"""Photos and label maps for the embedded ROI network, and the crops that it learns from."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from vcm import image
from vcm.scale.sources import files
from vcm.train.roi_labels import IGNORE, NONE

Image = NDArray[np.uint8]
SCALES = (0.65, 1.6)  # of a photo in a crop, drawn log-uniformly
SPANS = (0.15, 0.9)  # of the crop's side: what an object in focus covers, as far as ZOOM allows
ZOOM = 4.0
PASTED = 0.4  # share of the crops that get an object of another photo


class Sample(NamedTuple):
    """A photo in memory.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        labels: (H, W) uint8: 0 none, class + 1, 255 ignored.
    """

    pixels: Image
    labels: Image


class Samples(NamedTuple):
    """Attributes:
    training: what the network learns from.
    held_out: a fixed choice of photos with a VOC mask, to measure with and to choose tau.
    """

    training: list[Sample]
    held_out: list[Sample]


def load_samples(photos: Path, voc_masks: Path, labels: Path, held_out: int) -> Samples:
    """All photos of a folder with their label maps.

    Raises:
        SpecError: if two photos share a label map, as a.jpg and a.png do.
    """
    files(image.folder(photos))  # refuses them
    kept = kept_apart(photos, voc_masks, held_out)
    both = Samples([], [])
    for p in image.folder(photos):
        grey = cv2.imread(str(labels / f"{p.stem}.png"), cv2.IMREAD_UNCHANGED)
        both[p in kept].append(Sample(image.read(p), grey.astype(np.uint8)))
    return both


def kept_apart(photos: Path, voc_masks: Path, count: int) -> set[Path]:
    """The photos that training never sees: a fixed choice of those with a VOC mask."""
    voc = [p for p in image.folder(photos) if (voc_masks / f"{p.stem}.png").exists()]
    chosen = np.random.default_rng(0).permutation(len(voc))[:count].tolist()
    return {voc[i] for i in chosen}


def by_class(samples: list[Sample]) -> dict[int, list[int]]:
    """For each label that occurs, the indices of the samples that show it."""
    found: dict[int, list[int]] = {}
    for i, sample in enumerate(samples):
        for value in np.unique(sample.labels).tolist():
            if value not in (NONE, IGNORE):
                found.setdefault(value, []).append(i)
    return dict(sorted(found.items()))


def batch(
    samples: list[Sample], classes: dict[int, list[int]], count: int, side: int, rng: Generator
) -> tuple[Tensor, Tensor]:
    """x (B, 3, S, S) float32 in [0, 1] and labels (B, S/4, S/4).

    Half of the photos are drawn evenly, half class by class, so that rare ones are seen too, and
    large: half of these are zoomed in on. Some crops get objects of another photo pasted in.

    Source: Ghiasi et al. 2021, "Simple copy-paste is a strong data augmentation method for instance
    segmentation", arXiv:2012.07177. Deviation: all regions of one class, not one instance.
    """
    pairs = []
    for i in range(count):
        if i % 2 or not classes:
            pairs.append(_crop(samples[int(rng.integers(len(samples)))], side, rng))
        else:
            value, sample = _of_some_class(samples, classes, rng)
            pairs.append(_crop(sample, side, rng, value if rng.random() < 0.5 else None))
        if classes and rng.random() < PASTED:
            value, sample = _of_some_class(samples, classes, rng)
            other = _crop(sample, side, rng, value)
            there = other[1] == value
            for target, source in zip(pairs[-1], other, strict=True):
                target[there] = source[there]
    x = torch.from_numpy(np.stack([p for p, _ in pairs])).permute(0, 3, 1, 2).float() / 255
    contrast = torch.from_numpy(rng.uniform(0.7, 1.3, (count, 3, 1, 1))).float()
    shift = torch.from_numpy(rng.uniform(-0.1, 0.1, (count, 1, 1, 1))).float()
    x = ((x - 0.5) * contrast + 0.5 + shift).clamp(0, 1)
    labels = torch.from_numpy(np.stack([t for _, t in pairs])).long()[:, 2::4, 2::4]
    return x.contiguous(memory_format=torch.channels_last), labels


def _of_some_class(
    samples: list[Sample], classes: dict[int, list[int]], rng: Generator
) -> tuple[int, Sample]:
    """A class and a photo that shows it; classes are equally likely."""
    value = int(rng.choice(list(classes)))
    return value, samples[int(rng.choice(classes[value]))]


def _crop(s: Sample, side: int, rng: Generator, focus: int | None = None) -> tuple[Image, Image]:
    """A random window at a random scale, maybe mirrored; outside the photo is grey and ignored.

    Args:
        focus: label of what the window shows; None: anything.
    """
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    centre = None
    if focus is not None:
        rows, columns = np.nonzero(s.labels == focus)
        pick = rng.integers(len(rows))
        centre = (columns[pick], rows[pick])
        scale = min(ZOOM, side * rng.uniform(*SPANS) / len(rows) ** 0.5)
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    for axis, n in ((0, s.labels.shape[1]), (1, s.labels.shape[0])):
        low, high = min(0, n * scale - side), max(0, n * scale - side)
        start = rng.uniform(low, high)
        if centre is not None:
            start = np.clip(centre[axis] * scale - rng.uniform(0.2, 0.8) * side, low, high)
        matrix[axis, 2] = -start
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], 0, side - 1 - matrix[0, 2]]
    size = (side, side)
    pixels = cv2.warpAffine(s.pixels, matrix, size, borderValue=(127,) * 3)
    labels = cv2.warpAffine(s.labels, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(IGNORE,))
    return pixels.astype(np.uint8), labels.astype(np.uint8)
