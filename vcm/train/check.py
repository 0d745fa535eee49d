"""How good a model is during training, on held-out pictures."""

import logging
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcm import draw
from vcm.codec.format import levels
from vcm.errors import VcmError
from vcm.models import load_model
from vcm.train.photos import Photo
from vcm.train.step import Step
from vcm.vision.base import Detector, Segmenter

_log = logging.getLogger(__name__)
Image = NDArray[np.uint8]
SIGMAS = (1.0, 0.1)
SHOWN, SHOWN_QUALITY = 4, 25
SEEN = (0, 220, 255)  # boxes; the ROI's outline is yellow


@torch.no_grad()
def check(averaged: Step, held_out: list[Photo], side: int, size: int = 8) -> dict[str, float]:
    """bpp and PSNR by quality and sigma, on centre crops, `size` at a time.

    The ROI is the middle half of a crop, each way. Keys are like "q50_s0.1_psnr" (of the ROI),
    "q50_s0.1_bg" (of the background), "q50_s0.1_bpp" and, with a task, "q50_s0.1_task". If a file
    of such a crop has a map, "q50_s0.1_levels" is its number of levels, and "q50_s0.1_map" its
    share of the file's bits.
    """
    x, roi = _crops(averaged, held_out, side)
    record = {}
    for quality in averaged.qualities:
        for sigma in SIGMAS:
            parts = [_coded(averaged, part, roi, sigma, quality) for part in torch.split(x, size)]
            x_hat, bpp = (torch.cat(t) for t in zip(*parts, strict=True))
            error = (x_hat - x).square()
            name = f"q{quality}_s{sigma}"
            record[f"{name}_bpp"] = bpp.mean().item()
            record[f"{name}_psnr"] = _psnr(error[..., roi])
            record[f"{name}_bg"] = _psnr(error[..., ~roi])
            level_map = averaged.level_map(_mask(roi, sigma, x[:1]), quality)
            if level_map is not None:
                bits = 8 * len(levels.pack(level_map, quality * 100))
                record[f"{name}_levels"] = len(level_map.qualities)
                record[f"{name}_map"] = bits / (bits + bpp.mean().item() * side**2)
            if averaged.task is not None:
                pairs = zip(torch.split(x_hat, size), torch.split(x, size), strict=True)
                terms = [
                    averaged.task(seen, part, _mask(roi, sigma, part), size * i)
                    for i, (seen, part) in enumerate(pairs)
                ]
                record[f"{name}_task"] = torch.cat(terms).mean().item()
    return record


@torch.no_grad()
def samples(
    averaged: Step,
    held_out: list[Photo],
    side: int,
    seen: Callable[[Image], Image] | None = None,
) -> Image:
    """A sheet of a few crops: the original with its ROI, and coded at each sigma.

    Args:
        seen: draws into a picture what the task model finds in it.
    """
    x, roi = _crops(averaged, held_out[:SHOWN], side)
    shown = seen or (lambda picture: picture)
    columns = [[draw.outlined(shown(p), roi.cpu().numpy()) for p in _pictures(x)]]
    captions = [["original"] * len(x)]
    for sigma in SIGMAS:
        x_hat, bpp = _coded(averaged, x, roi, sigma, SHOWN_QUALITY)
        columns.append([shown(picture) for picture in _pictures(x_hat)])
        captions.append([f"sigma {sigma:g}: {b:.2f} bpp" for b in bpp.tolist()])
    cells = zip(zip(*columns, strict=True), zip(*captions, strict=True), strict=True)
    return draw.sheet(
        [[draw.captioned(p, [c], side) for p, c in zip(*row, strict=True)] for row in cells]
    )


def finder(task_model: str) -> Callable[[Image], Image] | None:
    """A function that draws into a picture what a task model finds in it.

    None if there is no model, or it gives features only. Pictures that the model fails on are not
    changed: a training must not end because of a drawing.
    """
    if not task_model:
        return None
    model = load_model(task_model)
    if not (hasattr(model, "detect") or hasattr(model, "segment")):
        return None

    def drawn(picture: Image) -> Image:
        if model.kind == "semantic":
            return draw.classes(picture, cast(Segmenter, model).segment(picture), model.names)
        found = cast(Detector, model).detect(picture)
        labelled = draw.labelled(found, model.names)
        return draw.boxed(draw.instances(picture, found), labelled, SEEN)

    def seen(picture: Image) -> Image:
        try:
            return drawn(picture)
        except VcmError as error:
            _log.warning("what %s finds is not drawn: %s", task_model, error)
            return picture

    return seen


def _crops(averaged: Step, held_out: list[Photo], side: int) -> tuple[Tensor, Tensor]:
    """Centre crops, (B, 3, side, side), and their ROI, (side, side) bool: the middle half."""
    device = next(averaged.parameters()).device
    x = torch.stack([_centre(photo.pixels, side) for photo in held_out]).to(device)
    roi = torch.zeros(side, side, dtype=torch.bool, device=device)
    roi[side // 4 : -side // 4, side // 4 : -side // 4] = True
    return x, roi


def _coded(
    averaged: Step, x: Tensor, roi: Tensor, sigma: float, quality: int
) -> tuple[Tensor, Tensor]:
    """x_hat in [0, 1] and the bits per pixel of each."""
    x_hat, bpp = averaged.look(x, _mask(roi, sigma, x), quality)
    return x_hat.clamp(0, 1), bpp


def _mask(roi: Tensor, sigma: float, x: Tensor) -> Tensor:
    return torch.where(roi, 1.0, sigma).expand(len(x), 1, -1, -1)


def _pictures(x: Tensor) -> list[Image]:
    pixels = (x * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(picture) for picture in pixels]


def _centre(pixels: NDArray[np.uint8], side: int) -> Tensor:
    top, left = ((n - side) // 2 for n in pixels.shape[:2])
    window = torch.from_numpy(pixels[top : top + side, left : left + side].copy())
    return window.permute(2, 0, 1).float() / 255


def _psnr(error: Tensor) -> float:
    """Mean over pictures of the PSNR in dB; error: (B, C, n) squared, on [0, 1]."""
    return (-10 * error.flatten(1).mean(1).clamp(min=1e-10).log10()).mean().item()
