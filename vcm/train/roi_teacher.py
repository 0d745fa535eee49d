"""Pseudo-labels: what a YOLO segmenter sees in training photos, with its confidence."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vcm import image
from vcm.errors import ImageError, ModelError, SpecError
from vcm.files import write_atomic
from vcm.roi.segmenter import has_coco_classes
from vcm.vision.yolo import load_yolo

LOOKS: Final = ((640, False), (448, True))  # size at which the teacher looks, whether mirrored
LEAST, MOST = 0.05, 60  # least confidence of an instance, and most instances
EVERY: Final = 60.0  # seconds between two messages
Planes = NDArray[np.uint8]


def teach(photos: Sequence[Path], teacher: str, target: Path) -> Iterator[str]:
    """Write what the teacher sees in each photo without such a file; yields lines about progress.

    A file is a PNG of (H/2, W/2, 4) uint8: the two most likely classes of a pixel, counted from 1,
    each with its probability times 255.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the teacher's classes are not COCO's.
        SpecError: if two photos have the same name without suffix: they would share a file.
    """
    _check_apart(photos)
    target.mkdir(parents=True, exist_ok=True)
    missing = [p for p in photos if not seen_by(target, p).is_file()]
    if not missing:
        return
    model = load_yolo(teacher)
    if model.task != "segment" or not has_coco_classes(model):
        raise ModelError(f"{teacher}: expected a segmenter of the 80 COCO classes")
    last = time.monotonic()
    for done, path in enumerate(missing):
        with suppress(ImageError):  # `gather` logs it
            write(seen_by(target, path), packed(planes(model, image.read(path))))
        if time.monotonic() - last > EVERY:
            yield f"teacher: {done + 1} of {len(missing)} photos"
            last = time.monotonic()
    yield f"teacher: {len(missing)} photos"


def _check_apart(photos: Sequence[Path]) -> None:
    owners: dict[str, Path] = {}
    for path in photos:
        first = owners.setdefault(path.stem, path)
        if first != path:
            raise SpecError(f"{first} and {path} would share their labels; rename one of them")


def write(path: Path, labels: Planes) -> None:
    """Write the planes as a PNG, atomically."""
    write_atomic(path, cv2.imencode(".png", labels)[1].tobytes())


def read(path: Path) -> Planes:
    """Planes that `write` wrote.

    Raises:
        SpecError: if the file is missing or damaged.
    """
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3 or found.shape[2] != 4:
        raise SpecError(
            f"{path}: label planes are missing or damaged; delete the file, and it is made again"
        )
    return found.astype(np.uint8, copy=False)


def seen_by(target: Path, photo: Path) -> Path:
    """The file in which `teach` stores what it saw in a photo."""
    return target / f"{photo.stem}.png"


def planes(model: Any, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probability of each class at every second pixel, the mean of both looks: (80, H/2, W/2)."""
    height, width = ((n + 1) // 2 for n in picture.shape[:2])
    total = np.zeros((len(model.names), height, width), np.float32)
    for size, mirrored in LOOKS:
        seen = _look(model, picture[:, ::-1] if mirrored else picture, size, total.shape)
        total += (seen[:, :, ::-1] if mirrored else seen) / len(LOOKS)
    return total


def _look(
    model: Any, picture: NDArray[np.uint8], size: int, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """One look: at each pixel the highest confidence of each class's instances."""
    bgr = np.ascontiguousarray(picture[..., ::-1])  # ultralytics takes arrays as BGR
    with torch.autocast("cpu", torch.bfloat16):  # moves boxes by a pixel, half of one in the planes
        (result,) = model.predict(bgr, conf=LEAST, max_det=MOST, imgsz=size, verbose=False)
    best = np.zeros(shape, np.float32)
    if result.masks is None:
        return best
    masks = _without_border(result.masks.data.float().cpu().numpy(), picture.shape)
    boxes = zip(masks, result.boxes.cls.tolist(), result.boxes.conf.tolist(), strict=True)
    for mask, class_, score in boxes:
        small = cv2.resize(mask, shape[:0:-1], interpolation=cv2.INTER_AREA) * np.float32(score)
        np.maximum(best[int(class_)], small, out=best[int(class_)])
    return best


def _without_border(masks: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Masks (N, h, w) of a letterboxed picture, without the border."""
    scale = min(masks.shape[1] / shape[0], masks.shape[2] / shape[1])
    top, left = (round((masks.shape[axis + 1] - shape[axis] * scale) / 2 - 0.1) for axis in (0, 1))
    return masks[:, top : masks.shape[1] - top, left : masks.shape[2] - left]


def packed(p: NDArray[np.float32]) -> Planes:
    """The two most likely classes of each pixel with their probabilities: (h, w, 4) uint8."""
    seen = np.flatnonzero(p.reshape(len(p), -1).max(1) > 0)
    names = np.append(seen + 1, [0, 0]).astype(np.uint8)
    values = np.concatenate([p[seen], np.zeros((2, *p.shape[1:]), np.float32)])
    first, second = np.argsort(-values, axis=0, kind="stable")[:2]
    return np.stack([part for top in (first, second) for part in _named(values, names, top)], -1)


def _named(
    values: NDArray[np.float32], names: NDArray[np.uint8], top: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    score = np.round(255 * np.take_along_axis(values, top[None], 0)[0]).astype(np.uint8)
    return np.where(score > 0, names[top], 0).astype(np.uint8), score
