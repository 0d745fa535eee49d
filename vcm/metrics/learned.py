"""Perceptual metrics of pretrained networks, which their packages download."""

import contextlib
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcm.errors import MissingExtra, ModelError

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Metric = Callable[[Image, Image], float]
NAMES: Final = ("lpips", "dists")
SIDE_MIN: Final = 32  # pixels: of smaller pictures AlexNet leaves nothing
PATIENCE: Final = 10.0  # seconds that a server has to answer


def load(name: str) -> Metric:
    """Distance of two pictures of equal size, 0 if equal; "lpips" (AlexNet) or "dists" (VGG).

    Source: Zhang et al. 2018, arXiv:1801.03924; Ding et al. 2020, arXiv:2004.07728.

    Raises:
        MissingExtra: if its package is not installed.
        ModelError: if its backbone cannot be downloaded.
    """
    build, low = {"lpips": (_lpips, -1.0), "dists": (_dists, 0.0)}[name]
    try:
        with _quiet():
            net = build()
    except (OSError, RuntimeError) as error:  # RuntimeError: not all of it came
        raise ModelError(f"{name}: its backbone could not be downloaded ({error})") from error

    @torch.inference_mode()
    def distance(a: Image, b: Image) -> float:
        return float(net(_tensor(a, low), _tensor(b, low)))

    return distance


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Both packages print, warn of torchvision's old names, and would wait for ever."""
    before = socket.getdefaulttimeout()
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        socket.setdefaulttimeout(PATIENCE)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)


def _lpips() -> Any:
    try:
        import lpips
    except ImportError as error:
        raise MissingExtra("lpips", "perceptual") from error
    return lpips.LPIPS(net="alex", verbose=False).eval()


def _dists() -> Any:
    try:
        from DISTS_pytorch import DISTS
    except ImportError as error:
        raise MissingExtra("dists-pytorch", "perceptual") from error
    return DISTS().eval()


def _tensor(image: Image, low: float) -> Tensor:
    """(1, 3, H, W) float32 in [low, 1]."""
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    return low + (1 - low) * x
