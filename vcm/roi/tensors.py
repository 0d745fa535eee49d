"""The torch view of a picture and its mask."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vcm.codec.nets.lma import TwoValues
from vcm.roi.mask import RoiMask


def tensors_of(
    image: NDArray[np.uint8], roi: RoiMask
) -> tuple[torch.Tensor, torch.Tensor | TwoValues]:
    """x and m as `PictureCodec.compress` takes them.

    Args:
        image: (H, W, 3) uint8, RGB.

    Returns:
        x: (1, 3, H, W) uint8.
        m: (1, 1, H, W), the mask values.
    """
    x = _tensor(image).permute(2, 0, 1)[None]  # (1, 3, H, W)
    inside = _tensor(roi.inside)[None, None]  # (1, 1, H, W)
    return x, TwoValues(inside, roi.outside) if roi.two_valued else inside.clamp(min=roi.outside)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    # torch needs positive strides, and warns about read-only arrays
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
