"""Training pictures and the masks that the codec learns to obey.

A batch is a pure function of (seed, step): a resumed run sees exactly what an unbroken one sees.
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vcm import image
from vcm.errors import ImageError, SpecError
from vcm.roi import load_backend
from vcm.roi.acquire import acquire
from vcm.roi.text import parse

_log = logging.getLogger(__name__)
NO_REGION = (0, 255)  # labels of a region map that stand for "nothing" and "void"


@dataclass(frozen=True)
class Data:
    """The [data] table of a training config.

    Attributes:
        photos: folder of pictures.
        regions: folders of label maps (PNG, same stem as the picture); unions of their regions
            serve as masks. Optional: without them masks are random shapes.
        words: text whose masks, found once and kept in the run's folder, serve as regions: the
            model learns on the ROIs that it will be used with. "" for none.
        crop: side of a training crop in pixels, a multiple of 64.
        batch: crops per step.
        sigma: range of the background's mask value, drawn log-uniformly.
        held_out: pictures kept for validation, the last ones by name order after a fixed shuffle.
    """

    photos: str = "../shared/data/train/images"
    regions: tuple[str, ...] = ()
    words: str = ""
    crop: int = 256
    batch: int = 8
    sigma: tuple[float, float] = (0.01, 1.0)
    held_out: int = 24

    def __post_init__(self) -> None:
        if not 0 < self.sigma[0] <= self.sigma[1] <= 1:
            raise SpecError(f"sigma: expected 0 < low <= high <= 1, got {list(self.sigma)}")


class Photo(NamedTuple):
    """A picture (H, W, 3) uint8 RGB and, where known, its label map (H, W) uint8."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None


class Batch(NamedTuple):
    """x (B, 3, S, S) in [0, 1]; m (B, 1, S, S) in (0, 1]; hundredths (B,) int64 in [0, 10000]."""

    x: Tensor
    m: Tensor
    hundredths: Tensor


def load_photos(data: Data) -> tuple[list[Photo], list[Photo]]:
    """All pictures of the folder in memory, as (training, validation) lists.

    Broken and too small pictures are skipped and counted in the log.

    Raises:
        SpecError: if nothing usable is found.
    """
    paths = image.folder(Path(data.photos))
    np.random.default_rng(0).shuffle(paths)  # type: ignore[arg-type]
    photos, skipped = [], 0
    for path in paths:
        try:
            pixels = image.read(path)
        except ImageError:
            skipped += 1
            continue
        if min(pixels.shape[:2]) < data.crop:
            skipped += 1
            continue
        photos.append(Photo(pixels, _labels(path, pixels.shape[:2], data.regions)))
    if skipped:
        _log.warning(
            "%d of %d pictures skipped: broken or under %d px", skipped, len(paths), data.crop
        )
    if len(photos) <= data.held_out:
        raise SpecError(
            f"{data.photos}: expected more than {data.held_out} pictures of at least "
            f"{data.crop} px, found {len(photos)}"
        )
    return photos[: len(photos) - data.held_out], photos[len(photos) - data.held_out :]


def words_masks(data: Data, folder: Path) -> Data:
    """The data, with the masks of its words as regions; what is missing of these is made.

    Raises:
        UnknownWord: if the words-to-mask network does not know a word.
    """
    if not data.words:
        return data
    words, backend = parse(data.words), load_backend("embedded")
    target = folder / "words" / hashlib.sha256(data.words.encode()).hexdigest()[:12]
    target.mkdir(parents=True, exist_ok=True)
    logging.getLogger("vcm.roi").setLevel(logging.ERROR)  # many pictures show none of the words
    for path in image.folder(Path(data.photos)):
        if (target / f"{path.stem}.png").is_file():
            continue
        try:
            found = acquire(image.read(path), words, backend, sigma=1.0, on_empty="background")
        except ImageError:  # counted when the pictures are loaded
            continue
        image.write(target / f"{path.stem}.png", found.roi.astype(np.uint8))
    return replace(data, regions=(str(target),))


def blocks(photos: list[Photo], seed: int, count: int = 40_000) -> Tensor:
    """Random 16x16 blocks: (count, 3, 16, 16) float32 in [-0.5, 0.5]."""
    rng = np.random.default_rng(seed)
    picks = []
    for index in rng.integers(len(photos), size=count):
        pixels = photos[index].pixels
        top, left = (rng.integers(n - 15) for n in pixels.shape[:2])
        picks.append(pixels[top : top + 16, left : left + 16])
    return torch.from_numpy(np.stack(picks)).permute(0, 3, 1, 2).float() / 255 - 0.5


def _labels(
    path: Path, size: tuple[int, ...], folders: tuple[str, ...]
) -> NDArray[np.uint8] | None:
    for folder in folders:
        candidate = Path(folder) / f"{path.stem}.png"
        if candidate.is_file():
            labels = np.asarray(Image.open(candidate))
            return labels if labels.shape == size else None
    return None


def batch(photos: list[Photo], data: Data, seed: int, step: int) -> Batch:
    """The batch of one step: random crops, flips, scales, masks, sigmas and qualities."""
    rng = np.random.default_rng((seed, step))
    crops, masks = [], []
    for index in rng.integers(len(photos), size=data.batch):
        pixels, labels = _crop(photos[index], data.crop, rng)
        crops.append(pixels)
        masks.append(mask_values(labels, data.crop, rng, data.sigma))
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
    m = torch.from_numpy(np.stack(masks))[:, None]
    return Batch(x, m, torch.from_numpy(rng.integers(0, 10_001, size=data.batch)))


def _crop(photo: Photo, side: int, rng: Generator) -> Photo:
    pixels, labels = photo
    height, width = pixels.shape[:2]
    scale = max(min(1.0, rng.uniform(0.5, 1.17)), side / min(height, width))
    if scale < 1:  # smaller pictures show finer detail per pixel and fewer JPEG blocks
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        if labels is not None:
            labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
        height, width = pixels.shape[:2]
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    step = rng.choice([1, -1])
    window = np.s_[top : top + side, left : left + side]
    cut = np.ascontiguousarray(pixels[window][:, ::step])
    return Photo(cut, None if labels is None else np.ascontiguousarray(labels[window][:, ::step]))


def mask_values(
    labels: NDArray[np.uint8] | None,
    side: int,
    rng: Generator,
    sigmas: tuple[float, float] = Data.sigma,
) -> NDArray[np.float32]:
    """Mask values m of one crop, (side, side) float32: 1 inside, one random sigma outside.

    Sigma is log-uniform. The mask is a union of regions, random shapes, everything
    (the ordinary codec) or nothing (all background).
    """
    kind = rng.choice(["regions", "shapes", "all", "none"], p=[0.4, 0.25, 0.3, 0.05])
    roi = np.full((side, side), kind == "all")
    if kind == "regions" and labels is not None:
        known = [value for value in np.unique(labels) if value not in NO_REGION]
        count = rng.integers(1, max(2, len(known) // 2 + 1))
        roi = (
            np.isin(labels, rng.choice(known, size=min(count, len(known)), replace=False))
            if known
            else roi
        )
    elif kind in ("regions", "shapes"):
        roi = _shapes(side, rng)
    sigma = np.exp(rng.uniform(*np.log(sigmas)))
    return np.where(roi, 1.0, sigma).astype(np.float32)


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
