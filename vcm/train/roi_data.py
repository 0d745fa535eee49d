"""The crops that the words-to-mask network learns from."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_labels import IGNORE, SURE, Planes
from vcm.train.roi_photos import LabelledPhoto

Image = NDArray[np.uint8]
SCALES: Final = (0.5, 1.7)  # of a photo in a crop, drawn log-uniformly
SPANS: Final = (0.15, 0.9)  # share of the crop's side that the class in focus covers, up to ZOOM
ZOOM: Final = 4.0  # largest scale of a photo
SEEN: Final = 5e-4  # share of a photo that a class must cover for the photo to show it
ROOMS: Final = 0.25  # how often a class of rooms is in focus, relative to one of COCO's


class WordBatch(NamedTuple):
    """The crops of a step.

    Attributes:
        x: (B, 3, S, S) float32 in [0, 1], RGB.
        planes: (B, 4, S/4, S/4) int64, see `roi_labels`.
        rooms: (B,) bool, whether it may show classes of rooms (lamps, doors ...) without labels.
    """

    x: Tensor
    planes: Tensor
    rooms: Tensor


def by_class(photos: Sequence[LabelledPhoto]) -> dict[int, list[int]]:
    """For each label, the indices of the photos that show it."""
    found: dict[int, list[int]] = {}
    for i, photo in enumerate(photos):
        for value, share in photo.classes.items():
            if share > SEEN:
                found.setdefault(value, []).append(i)
    return dict(sorted(found.items()))


def batch(
    photos: Sequence[LabelledPhoto],
    classes: dict[int, list[int]],
    count: int,
    side: int,
    rng: Generator,
) -> WordBatch:
    """Half of the photos are drawn by weight, half by class, so that rare classes are seen.

    In three quarters of the latter, the crop is placed and scaled around the class.
    """
    crops, rooms = [], []
    weights = np.array([photo.weight for photo in photos])
    coco = len(vocabulary().coco)
    often = np.array([1.0 if value <= coco else ROOMS for value in classes])
    for i in range(count):
        if i % 2 or not classes:
            photo, focus = photos[_drawn(np.arange(len(photos)), weights, rng)], None
        else:
            value = _drawn(np.array(list(classes)), often, rng)
            shown = np.array(classes[value])
            photo = photos[_drawn(shown, weights[shown], rng)]
            focus = value if rng.random() < 0.75 else None
        crops.append(crop(*photo.load(), side, rng, focus))
        rooms.append(photo.rooms)
    x = torch.from_numpy(np.stack([p for p, _ in crops])).permute(0, 3, 1, 2).float() / 255
    contrast = torch.from_numpy(rng.uniform(0.7, 1.3, (count, 3, 1, 1))).float()
    shift = torch.from_numpy(rng.uniform(-0.1, 0.1, (count, 1, 1, 1))).float()
    x = ((x - 0.5) * contrast + 0.5 + shift).clamp(0, 1)
    planes = torch.from_numpy(np.stack([t for _, t in crops])).permute(0, 3, 1, 2).long()
    return WordBatch(x.contiguous(memory_format=torch.channels_last), planes, torch.tensor(rooms))


def _drawn(values: NDArray[np.int64], weights: NDArray[np.float64], rng: Generator) -> int:
    return int(rng.choice(values, p=weights / weights.sum()))


def crop(
    pixels: Image, planes: Planes, side: int, rng: Generator, focus: int | None = None
) -> tuple[Image, Planes]:
    """A random window at a random scale, maybe mirrored; grey and without labels outside the photo.

    Args:
        focus: label of the class that the window must show; None: any.

    Returns:
        (S, S, 3) uint8, and planes (S/4, S/4, 4) uint8.
    """
    scale, centre = float(np.exp(rng.uniform(*np.log(SCALES)))), None
    if focus is not None:
        rows, columns = np.nonzero((planes[..., 0] == focus) & (planes[..., 1] >= SURE))
        if len(rows):
            pick = rng.integers(len(rows))
            centre = (2 * columns[pick], 2 * rows[pick])
            scale = min(ZOOM, side * rng.uniform(*SPANS) / (2 * len(rows) ** 0.5))
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    for axis, n in ((0, pixels.shape[1]), (1, pixels.shape[0])):
        low, high = min(0, n * scale - side), max(0, n * scale - side)
        start = rng.uniform(low, high)
        if centre is not None:
            start = np.clip(centre[axis] * scale - rng.uniform(0.2, 0.8) * side, low, high)
        matrix[axis, 2] = -start
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], 0, side - 1 - matrix[0, 2]]
    return warped(pixels, planes, matrix, side)


def warped(
    pixels: Image, planes: Planes, matrix: NDArray[np.float64], side: int
) -> tuple[Image, Planes]:
    """The window given by a matrix (2, 3) from the photo's pixels to the window's."""
    inner = int(1 / abs(matrix[1, 1]))  # when scaling down, pixels are averaged first
    small, m = pixels, matrix.copy()
    if inner > 1:
        size = (pixels.shape[1] // inner, pixels.shape[0] // inner)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        m[:, 2] += m[:, :2].sum(1) * (inner - 1) / 2  # to the centre of the averaged pixels
        m[:, :2] *= inner
    grey = cv2.warpAffine(small, m, (side, side), borderValue=(127,) * 3)
    # from the centre of a label, 2x2 pixels of the photo, to that of 4x4 pixels of the window
    quarter = matrix.copy()
    quarter[:, 2] += matrix[:, :2].sum(1) / 2 - 1.5
    quarter[:, :2] *= 2
    quarter /= 4
    out = cv2.warpAffine(
        planes,
        quarter,
        (side // 4, side // 4),
        flags=cv2.INTER_NEAREST,
        borderValue=(IGNORE, 0, 0, 0),
    )
    return grey.astype(np.uint8), out.astype(np.uint8)
