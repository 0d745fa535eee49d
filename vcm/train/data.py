"""Training pictures and the masks that the codec learns to obey.

A batch is a pure function of (seed, step): a resumed run sees the same batches as an unbroken one.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vcm.codec.format.constants import QUALITY_STEPS
from vcm.errors import SpecError
from vcm.train.photos import Data, Photo

NO_REGION = (0, 255)  # labels of a region map that stand for "nothing" and "void"
# Shares of kinds of masks, for crops that are not all ROI. Two values: by regions, by random
# shapes, or all background. Graded: several values, or a smooth field.
OTHERS = {"regions": 0.57, "shapes": 0.36, "none": 0.07}
GRADED = {"several": 0.5, "smooth": 0.5}
SEVERAL, GRID = 4, 4  # objects of "several" at most; side of the grid that "smooth" interpolates


class Batch(NamedTuple):
    """The crops of a step.

    Attributes:
        x: (B, 3, S, S) float32 in [0, 1], RGB.
        m: (B, 1, S, S) float32 in (0, 1], mask values.
        hundredths: (B,) int64 in [0, 10000], the quality.
        mapped: (B,) bool, whether the mask is sent to the decoder as a map, if the model has one.
    """

    x: Tensor
    m: Tensor
    hundredths: Tensor
    mapped: Tensor


class Own(NamedTuple):
    """The part of a step's pictures that a process takes: part `number`, from 0, of `of`."""

    number: int = 0
    of: int = 1


ALONE: Final = Own()


def batch(photos: Sequence[Photo], data: Data, seed: int, step: int, own: Own = ALONE) -> Batch:
    """The batch of one step, or a part: random crops, flips, scales, masks, sigmas, qualities.

    Each picture has its own random numbers, so no process has to prepare those of another.

    Raises:
        SpecError: if the step's pictures cannot be divided evenly among the processes.
    """
    if data.batch % own.of:
        raise SpecError(f"data.batch: expected a multiple of {own.of} processes, got {data.batch}")
    rng, size = np.random.default_rng((seed, step)), data.batch // own.of
    part = slice(own.number * size, (own.number + 1) * size)
    indexes, qualities = rng.integers(len(photos), size=data.batch), _qualities(data.batch, rng)
    crops, masks, mapped = [], [], []
    for place in range(part.start, part.stop):
        rng = np.random.default_rng((seed, step, place))
        pixels, labels = _crop(photos[indexes[place]], data.crop, rng)
        crops.append(pixels)
        masks.append(mask_values(labels, data.crop, rng, data.sigma, data.whole, data.graded))
        mapped.append(rng.random() >= data.unmapped)
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
    m = torch.from_numpy(np.stack(masks))[:, None]
    return Batch(x, m, torch.from_numpy(qualities[part]), torch.tensor(mapped))


def _qualities(count: int, rng: Generator) -> NDArray[np.int64]:
    """One from each of `count` equal parts of 0 to 10000, so that gradients vary less."""
    position = (rng.permutation(count) + rng.random(count)) / count
    return (position * (QUALITY_STEPS + 1)).astype(np.int64)


class Batches(Dataset[Batch]):
    """The batch of each step by its number, for torch's data loader."""

    def __init__(self, photos: Sequence[Photo], data: Data, seed: int, own: Own):
        self._source = photos, data, seed
        self._own = own

    def __getitem__(self, step: int) -> Batch:
        return batch(*self._source, step, self._own)


def _crop(photo: Photo, side: int, rng: Generator) -> Photo:
    """A square of the picture, scaled by 1/2 to 1; half of them are mirrored."""
    height, width = photo.pixels.shape[:2]
    scale = min(1.0, rng.uniform(0.5, 1.17))  # scaled down: finer detail, weaker JPEG artefacts
    span = min(round(side / scale), height, width)
    top, left = rng.integers(height - span + 1), rng.integers(width - span + 1)
    step = rng.choice([1, -1])

    def cut(image: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
        part = image[top : top + span, left : left + span]
        if span > side:
            part = cv2.resize(part, (side, side), interpolation=interpolation)  # type: ignore[assignment]
        return np.ascontiguousarray(part[:, ::step])

    pixels = cut(photo.pixels, cv2.INTER_AREA)
    return Photo(pixels, None if photo.labels is None else cut(photo.labels, cv2.INTER_NEAREST))


def mask_values(
    labels: NDArray[np.uint8] | None,
    side: int,
    rng: Generator,
    sigmas: tuple[float, float] = Data.sigma,
    whole: float = Data.whole,
    graded: float = Data.graded,
) -> NDArray[np.float32]:
    """Mask values m of one crop: (side, side) float32 in (0, 1].

    Either all are 1 (no ROI), or the lowest is a sigma drawn log-uniformly: outside a union of
    regions or random shapes, where it is 1, or everywhere. In graded masks it is the background of
    objects with several values, or the lower end of a smooth field.
    """
    sigma = float(np.exp(rng.uniform(*np.log(sigmas))))
    shares = {k: (1 - whole) * (1 - graded) * p for k, p in OTHERS.items()}
    shares |= {k: (1 - whole) * graded * p for k, p in GRADED.items()} | {"all": whole}
    kind = rng.choice(list(shares), p=list(shares.values()))
    if kind == "smooth":
        return _field(side, sigma, rng)
    values = np.full((side, side), 1 if kind == "all" else sigma, np.float32)
    if kind == "several":
        for value in np.exp(rng.uniform(np.log(sigma), 0, rng.integers(1, SEVERAL))):
            values[_object(labels, side, rng)] = value
    if kind in ("regions", "shapes", "several"):
        values[_object(None if kind == "shapes" else labels, side, rng)] = 1
    return values


def _object(labels: NDArray[np.uint8] | None, side: int, rng: Generator) -> NDArray[np.bool_]:
    """A union of regions, or of random shapes where there are none."""
    if labels is None:
        return _shapes(side, rng)
    known = [value for value in np.unique(labels) if value not in NO_REGION]
    count = rng.integers(1, max(2, len(known) // 2 + 1))
    if not known:
        return np.zeros((side, side), bool)
    return np.isin(labels, rng.choice(known, size=min(count, len(known)), replace=False))


def _field(side: int, sigma: float, rng: Generator) -> NDArray[np.float32]:
    """Values between sigma and 1 that vary smoothly, as importance for a task does."""
    coarse = rng.uniform(np.log(sigma), 0, (GRID, GRID))
    fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.exp(np.clip(fine, np.log(sigma), 0)).astype(np.float32)


def _shapes(side: int, rng: Generator) -> NDArray[np.bool_]:
    """A union of one to three rectangles and ellipses."""
    canvas = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 4)):
        centre: list[int] = rng.integers(0, side, size=2).tolist()
        half: list[int] = rng.integers(side // 32, side // 2, size=2).tolist()
        if rng.random() < 0.5:
            cv2.ellipse(canvas, centre, half, float(rng.uniform(0, 180)), 0, 360, (1,), -1)
        else:
            corner = [c - h for c, h in zip(centre, half, strict=True)]
            opposite = [c + h for c, h in zip(centre, half, strict=True)]
            cv2.rectangle(canvas, corner, opposite, (1,), -1)
    return canvas.astype(bool)
