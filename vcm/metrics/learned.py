"""Perceptual metrics by pretrained networks, which their packages hold (ST-LPIPS) or download."""

import contextlib
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcm.errors import MissingExtra, ModelError

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Metric = Callable[[Image, Image], float]
NAMES: Final = ("st-lpips", "lpips", "dists")
SIDE_MIN: Final = 32  # pixels: AlexNet's features of smaller pictures are empty
PATIENCE: Final = 10.0  # seconds within which a server must answer


def load(name: str) -> Metric:
    """A function that gives the distance of two pictures of equal size, 0 if equal.

    "st-lpips", shift-tolerant LPIPS (AlexNet, whose weights are in the package), "lpips" (AlexNet)
    or "dists" (VGG).

    Source: Ghildyal and Liu 2022, arXiv:2207.13686; Zhang et al. 2018, arXiv:1801.03924; Ding et
    al. 2020, arXiv:2004.07728.

    Raises:
        MissingExtra: if its package is not installed.
        ModelError: if its backbone cannot be downloaded.
    """
    build, low = {"st-lpips": (_st_lpips, -1.0), "lpips": (_lpips, -1.0), "dists": (_dists, 0.0)}[
        name
    ]
    try:
        with _quiet():
            net = build()
    except (OSError, RuntimeError) as error:  # RuntimeError: the download is incomplete
        raise ModelError(f"{name}: its backbone could not be downloaded ({error})") from error

    @torch.inference_mode()
    def distance(a: Image, b: Image) -> float:
        return float(net(_tensor(a, low), _tensor(b, low)))

    return distance


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The packages print, warn about torchvision's old names, and would wait for ever."""
    before = socket.getdefaulttimeout()
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        socket.setdefaulttimeout(PATIENCE)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)


def _st_lpips() -> Any:
    with _stand_ins():
        try:
            from stlpips_pytorch import stlpips
        except ImportError as error:
            raise MissingExtra("stlpips-pytorch", "perceptual") from error
    return stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Stand-ins for modules that stlpips imports without declaring them, only for debugging."""
    names = {"torchsummary": "summary", "IPython": "embed"}
    missing = {name: wanted for name, wanted in names.items() if find_spec(name) is None}
    for name, wanted in missing.items():
        sys.modules[name] = ModuleType(name)
        setattr(sys.modules[name], wanted, None)
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


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
