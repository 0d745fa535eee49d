"""Trains the importance head of the words' network, which predicts detectors' gradients."""

import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vcm.files import write_atomic
from vcm.models import load_teacher
from vcm.roi.embedded import LONG_SIDE
from vcm.roi.network import PixelWordNet
from vcm.train.roi_photos import LabelledPhoto
from vcm.vision.importance import importance

SEEN: Final = 640  # longer side of a photo as detectors see it
ONE_IN: Final = 20  # one photo in this many is used: detectors take a second for each
PROJECTIONS: Final = 4  # random projections of a detector's features on each photo
STEPS, RATE = 1500, 2e-3  # of the head's training, with eight photos a step
Pair = tuple[Tensor, Tensor]


def learn(
    net: PixelWordNet,
    training: Sequence[LabelledPhoto],
    apart: Sequence[LabelledPhoto],
    detectors: Sequence[str],
    target: Path,
) -> float:
    """Train the head on some of the photos; returns its correlation with held-out measurements.

    Args:
        apart: held-out photos.
        detectors: as `vcm.models.load_teacher` takes them.
        target: folder that keeps the measurements.
    """
    some = [p for p in training if zlib.crc32(p.path.name.encode()) % ONE_IN == 3]
    fit(net, list(_pairs(net, measure(some, detectors, target))))
    return correlation(net, list(_pairs(net, measure(apart[::4], detectors, target))))


def measure(
    photos: Sequence[LabelledPhoto], teachers: Sequence[str], target: Path
) -> Iterator[tuple[LabelledPhoto, NDArray[np.float32]]]:
    """Each photo with the log importance of its squares for each detector: (D, H/16, W/16).

    The mean over the squares is 0. Earlier measurements are read from `target`.
    """
    target.mkdir(parents=True, exist_ok=True)
    models: list[Any] = []
    for photo in photos:
        path = target / f"{photo.path.stem}.npy"
        if not path.is_file():
            models = models or [load_teacher(name) for name in teachers]
            x = _picture(photo, SEEN)
            seed = torch.Generator().manual_seed(zlib.crc32(photo.path.name.encode()))
            maps = torch.cat([importance(m, x, PROJECTIONS, seed) for m in models])
            logs = maps.clamp(min=1e-12).log()
            _save(path, (logs - logs.mean((1, 2), keepdim=True)).numpy())
        yield photo, np.load(path, allow_pickle=False).astype(np.float32)


def _save(path: Path, maps: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, maps.astype(np.float16))
    write_atomic(path, buffer.getvalue())


def _picture(photo: LabelledPhoto, side: int) -> Tensor:
    """(1, 3, H, W) float32 in [0, 1]; the longer side is about `side`, both multiples of 32."""
    pixels, _ = photo.load()
    scale = side / max(pixels.shape[:2])
    w, h = (max(32, 32 * round(n * scale / 32)) for n in (pixels.shape[1], pixels.shape[0]))
    small = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255


def _pairs(
    net: PixelWordNet, measured: Iterator[tuple[LabelledPhoto, NDArray[np.float32]]]
) -> Iterator[Pair]:
    """The head's input for each photo, and the detectors' mean at the same positions."""
    for photo, maps in measured:
        with torch.no_grad():  # only here: measuring needs gradients
            seen = net.middle(net.backbone(_picture(photo, LONG_SIDE)))
        wanted = torch.from_numpy(maps).mean(0)[None, None]
        wanted = F.interpolate(wanted, seen.shape[2:], mode="bilinear", align_corners=False)
        yield seen.bfloat16(), wanted - wanted.mean()


def fit(net: PixelWordNet, pairs: Sequence[Pair], steps: int = STEPS, seed: int = 0) -> None:
    """Train only the head; the rest of the network does not change."""
    optimiser = torch.optim.Adam(net.importance.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        loss = torch.zeros(())
        for i in rng.integers(len(pairs), size=8).tolist():
            seen, wanted = pairs[i]
            if rng.random() < 0.5:
                seen, wanted = seen.flip(3), wanted.flip(3)
            loss = loss + (_centred(net.importance(seen.float())) - wanted).square().mean() / 8
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _centred(t: Tensor) -> Tensor:
    return t - t.mean((1, 2, 3), keepdim=True)


@torch.no_grad()
def correlation(net: PixelWordNet, pairs: Sequence[Pair]) -> float:
    """Mean over photos of the correlation between the head's output and the measurements."""
    each = []
    for seen, wanted in pairs:
        predicted = net.importance(seen.float()).flatten().numpy()
        each.append(float(np.corrcoef(predicted, wanted.flatten().numpy())[0, 1]))
    return float(np.mean(each))
