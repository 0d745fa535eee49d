"""How good a model in training is on pictures that it does not learn from."""

import copy

import numpy as np
import torch
from torch import Tensor

from vcm.codec.loss import bpp_est
from vcm.train.data import Photo
from vcm.train.step import Step

QUALITIES = (0, 25, 50, 75, 100)
SIGMAS = (1.0, 0.1)


@torch.no_grad()
def check(
    step: Step, average: dict[str, Tensor], held_out: list[Photo], side: int
) -> dict[str, float]:
    """bpp and PSNR by quality and sigma, of the averaged weights, on centre crops.

    The ROI is the middle half of a crop, each way. Keys are like "q50_s0.1_psnr" (of the ROI),
    "q50_s0.1_bg" (of the background) and "q50_s0.1_bpp".
    """
    averaged = copy.deepcopy(step).eval()
    averaged.load_state_dict(average)
    device = next(averaged.parameters()).device
    x = torch.stack([_centre(photo.pixels, side) for photo in held_out]).to(device)
    roi = torch.zeros(1, 1, side, side, dtype=torch.bool, device=device)
    roi[..., side // 4 : -side // 4, side // 4 : -side // 4] = True
    record = {}
    for quality in QUALITIES:
        hundredths = torch.full((len(x),), quality * 100, device=device)
        for sigma in SIGMAS:
            m = torch.where(roi, 1.0, sigma).expand(len(x), -1, -1, -1)
            coded = averaged.model(x, m, hundredths)
            error = (coded.x_hat.clamp(0, 1) - x).square()
            name = f"q{quality}_s{sigma}"
            record[f"{name}_bpp"] = bpp_est(averaged.rate(coded), side * side).mean().item()
            record[f"{name}_psnr"] = _psnr(error[..., roi[0, 0]])
            record[f"{name}_bg"] = _psnr(error[..., ~roi[0, 0]])
    return record


def _centre(pixels: np.ndarray, side: int) -> Tensor:  # type: ignore[type-arg]
    top, left = ((n - side) // 2 for n in pixels.shape[:2])
    window = torch.from_numpy(pixels[top : top + side, left : left + side].copy())
    return window.permute(2, 0, 1).float() / 255


def _psnr(error: Tensor) -> float:
    """Mean over pictures of the PSNR in dB; error: (B, C, n) squared, on [0, 1]."""
    return (-10 * error.flatten(1).mean(1).clamp(min=1e-10).log10()).mean().item()
