"""The built-in words-to-mask network: offline, a limited vocabulary that it is honest about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vcm import weightfile
from vcm.errors import ModelError, SpecError
from vcm.roi.network import PixelWordNet
from vcm.roi.refine import to_edges
from vcm.roi.vocabulary import vocabulary

KIND: Final = "vcm-roi-1"
LONG_SIDE: Final = 512  # of the picture as the network sees it: bounds time and memory
DETAILS: Final = (1, 2)
DEFAULT: Final = Path(__file__).parents[1] / "weights" / "roi-base.safetensors"


class Embedded:
    """Similarity = probability that the pixel shows one of the classes that the phrase covers.

    Args:
        weights: a safetensors file; None: the one that comes with the package.
        detail: 2 looks at the picture at twice the size as well, and takes the mean: small things
            are found more often, in some four times the time.

    Raises:
        ModelError: if the file is missing, damaged or of another network.
        SpecError: if detail is neither 1 nor 2.
    """

    name: Final = "embedded"
    growth: Final = 0.5

    def __init__(self, weights: str | Path | None = None, detail: int = 1):
        if detail not in DETAILS:
            raise SpecError(f"detail: expected 1 or 2, got {detail!r}")
        self.detail: Final = detail
        path = Path(weights or DEFAULT)
        self._net, card = load_network(path)
        self.tau: Final = _threshold(path, card)

    def similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> NDArray[np.float32]:
        """Maps in [0, 1]: (P, H, W) float32; image: (H, W, 3) uint8 RGB.

        Raises:
            UnknownWord: if a phrase is not in the vocabulary; near words are named.
        """
        covers = [vocabulary().cover(phrase) for phrase in phrases]
        p = self._probabilities(image)
        maps = np.stack([p[[1 + i for i in cover]].sum(0) for cover in covers])
        return to_edges(maps, image)

    def _probabilities(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        p = probabilities(self._net, image)
        if self.detail == 1:
            return p
        fine = probabilities(self._net, image, self.detail)
        size = fine.shape[2], fine.shape[1]
        # the coarse look knows large things, the fine one small things
        mean: NDArray[np.float32] = (np.stack([cv2.resize(plane, size) for plane in p]) + fine) / 2
        return mean


@torch.inference_mode()
def probabilities(
    net: PixelWordNet, image: NDArray[np.uint8], detail: int = 1
) -> NDArray[np.float32]:
    """(K + 1, h, w): background and classes, on a grid over exactly the whole picture.

    Args:
        image: (H, W, 3) uint8, RGB.
        detail: 2 for a network that sees the picture at twice the size.
    """
    height, width = image.shape[:2]
    scale = detail * min(1.0, LONG_SIDE / max(height, width))
    # whole multiples of 32 in both directions: the grid then covers the picture, no more
    w, h = (max(32, 32 * round(n * scale / 32)) for n in (width, height))
    shrink = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (w, h), interpolation=shrink)
    x = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    logits = net(x.contiguous(memory_format=torch.channels_last))
    p: NDArray[np.float32] = F.softmax(logits[0], dim=0).numpy()
    return p


def save(path: Path, net: PixelWordNet, card: dict[str, str]) -> None:
    """Write a network in float16; `card` says where it comes from."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    weightfile.write(path, KIND, tensors, card)


def _threshold(path: Path, card: dict[str, str]) -> float:
    """The tau that the training found best on photos that it kept apart."""
    try:
        return float(card.get("tau", "0.5"))
    except ValueError as error:
        raise ModelError(f"{path}: tau is no number: {card['tau']!r}; get a fresh copy") from error


def load_network(path: Path) -> tuple[PixelWordNet, dict[str, str]]:
    """The network in a weight file, in eval mode, and the file's card.

    Raises:
        ModelError: if the file is missing, damaged, or does not fit the network or vocabulary.
    """
    stored, card = weightfile.read(path, KIND)
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    try:
        net = PixelWordNet(tensors["words"], tensors["members"])
        net.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: the weights do not fit the network: {reason}") from error
    if len(net.words) != len(vocabulary().classes):
        raise ModelError(
            f"{path}: expected weights for {len(vocabulary().classes)} classes, "
            f"got {len(net.words)}; take those of this version"
        )
    return net.eval().to(memory_format=torch.channels_last), card
