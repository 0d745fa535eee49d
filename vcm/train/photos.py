"""Training pictures, and the label maps that their masks are made from."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcm import dataset, image
from vcm.errors import ImageError, SpecError
from vcm.files import write_atomic
from vcm.scale.sources import Source, read
from vcm.train.label_maps import check_apart, label_map

_log = logging.getLogger(__name__)
SILENCE: Final = 20.0  # seconds between messages about progress before the first step


@dataclass(frozen=True)
class Data:
    """The [data] table of a training config.

    Attributes:
        photos: folder of pictures, COCO .json file, tar shards, or "hf:NAME" of the Hugging Face
            hub.
        regions: folders of label maps (PNG, same stem as the picture); unions of their regions
            serve as masks. Optional: without them masks are random shapes.
        task: task whose words, tau, dilation and detail give masks that serve as regions, so that
            the model learns on the ROIs that it will be used with. They are found once and kept
            beside the run's folder. "" for none; a built-in task's name or a TOML file.
        words: a text instead of a task, with the backend's own tau.
        crop: side of a training crop in pixels, a multiple of 64.
        batch: crops per step.
        sigma: range of the background's mask value, drawn log-uniformly.
        whole: share of crops that are all ROI, as for a codec without masks.
        graded: share of the other crops whose masks have several values or vary smoothly, for
            models with a map; 0: one sigma per crop, as in the paper.
        unmapped: share of crops without a map although the model has one: LMA alone, as in the
            paper.
        held_out: pictures kept for validation, the last ones after a fixed shuffle.
        memory: MiB of decoded pictures kept in memory; of the others only the headers are checked
            at the start, and they are decoded for each crop.
    """

    photos: str = "../shared/data/train/images"
    regions: tuple[str, ...] = ()
    task: str = ""
    words: str = ""
    crop: int = 256
    batch: int = 8
    sigma: tuple[float, float] = (0.01, 1.0)
    whole: float = 0.3
    graded: float = 0.0
    unmapped: float = 0.15
    held_out: int = 24
    memory: int = 8192

    def __post_init__(self) -> None:
        if not 0 < self.sigma[0] <= self.sigma[1] <= 1:
            raise SpecError(f"sigma: expected 0 < low <= high <= 1, got {list(self.sigma)}")
        for key in ("whole", "graded", "unmapped"):
            if not 0 <= getattr(self, key) <= 1:
                raise SpecError(f"{key}: expected 0 to 1, got {getattr(self, key)}")
        if self.task and self.words:
            raise SpecError("data: expected task or words, got both")
        if self.crop < 64 or self.crop % 64:
            raise SpecError(f"crop: expected a multiple of 64, got {self.crop}")
        for key in ("batch", "held_out"):
            if getattr(self, key) < 1:
                raise SpecError(f"{key}: expected 1 or more, got {getattr(self, key)}")


class Photo(NamedTuple):
    """A picture (H, W, 3) uint8 RGB and, where known, its label map (H, W) uint8."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None


class Photos(Sequence[Photo]):
    """Training pictures: decoded ones, and files that are decoded at each access.

    If a file turns out to be damaged, the first undamaged picture takes its place.

    Args:
        photos: each picture, or the source that it is read from.
    """

    def __init__(self, photos: list[Photo | Source], data: Data):
        self._photos, self._data = photos, data

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Photo:  # type: ignore[override]  # no slices
        for photo in chain([self._photos[index]], self._photos):
            try:
                return photo if isinstance(photo, Photo) else _decoded(photo, self._data)
            except ImageError as error:
                _log.warning("left out: %s", error)
        raise SpecError(f"{self._data.photos}: all pictures are damaged")


def load_photos(data: Data, kept: Path | None = None) -> tuple[Photos, list[Photo]]:
    """All pictures, as (training, validation) sequences.

    Broken and too small pictures are skipped and counted in the log.

    Args:
        kept: JSON file with the names of the validation pictures; written if it does not exist. So
            a resumed run never learns from them, even if the set has grown.

    Raises:
        SpecError: if there are not enough usable pictures.
    """
    found = list(dataset.pictures(data.photos))
    check_apart(found, data.regions)
    np.random.default_rng(0).shuffle(found)  # type: ignore[arg-type]
    photos: dict[str, Photo | Source] = {}
    left = data.memory * 2**20
    damaged, reason = 0, ""
    for source in told(found, "read"):
        try:
            photos[source.name] = _checked(source, data)
        except ImageError as error:
            reason = reason or str(error)
            continue
        if left > 0:
            try:
                photo = photos[source.name] = _decoded(source, data)
            except ImageError as error:  # kept, so that a run's crops do not depend on its memory
                damaged, reason = damaged + 1, reason or str(error)
            else:
                left -= photo.pixels.nbytes + (0 if photo.labels is None else photo.labels.nbytes)
    if skipped := len(found) - len(photos) + damaged:
        _log.warning(
            "%d of %d pictures skipped: broken or under %d px; the first: %s",
            skipped,
            len(found),
            data.crop,
            reason,
        )
    apart = _apart(list(photos), data.held_out, kept)
    training = [photo for name, photo in photos.items() if name not in apart]
    if not training or not apart:
        raise SpecError(
            f"{data.photos}: expected more than {data.held_out} pictures of at least "
            f"{data.crop} px, found {len(photos)}"
            + (f"; the first of the others: {reason}" if reason else "")
        )
    return Photos(training, data), list(Photos([photos[name] for name in apart], data))


def _apart(names: list[str], count: int, kept: Path | None) -> list[str]:
    """The names of the held-out pictures: those in the file, or the last ones."""
    if kept is not None and kept.is_file():
        known = set(json.loads(kept.read_text()))
        return [name for name in names if name in known]
    apart = names[-count:] if len(names) > count else []
    if kept is not None:
        write_atomic(kept, json.dumps(apart).encode())
    return apart


def told(found: Sequence[Source], what: str) -> Iterator[Source]:
    """The same pictures, with messages about progress."""
    last = time.monotonic()
    for done, source in enumerate(found):
        if time.monotonic() - last > SILENCE:
            _log.warning("%s %d of %d pictures", what, done, len(found))
            last = time.monotonic()
        yield source


def _checked(source: Source, data: Data) -> Source:
    """The same source; raises ImageError if its header shows that it cannot be used."""
    if min(image.size(source.load(), source.where)) < data.crop:
        raise ImageError(f"{source.where}: under {data.crop} px")
    return source


def _decoded(source: Source, data: Data) -> Photo:
    """The picture; raises ImageError if it cannot be used."""
    pixels = read(source)
    if min(pixels.shape[:2]) < data.crop:
        raise ImageError(f"{source.where}: under {data.crop} px")
    return Photo(pixels, label_map(source, pixels.shape[:2], data.regions))


def blocks(photos: Sequence[Photo], seed: int, count: int = 40_000) -> Tensor:
    """Random 16x16 blocks, (count, 3, 16, 16) float32 in [-0.5, 0.5], of the first 2,000 photos."""
    rng, first = np.random.default_rng(seed), min(len(photos), 2_000)
    shares = np.bincount(rng.integers(first, size=count), minlength=first)
    picks = []
    for index, share in enumerate(shares):  # photo by photo: all may not fit into memory
        pixels = photos[index].pixels
        for _ in range(share):
            top, left = (rng.integers(n - 15) for n in pixels.shape[:2])
            picks.append(pixels[top : top + 16, left : left + 16].copy())
    return torch.from_numpy(np.stack(picks)).permute(0, 3, 1, 2).float() / 255 - 0.5
