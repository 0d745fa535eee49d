"""Weight files of the words' network, as training reads and writes them."""

from pathlib import Path

import torch

from vcm import weightfile
from vcm.errors import ModelError
from vcm.roi.network import PixelWordNet
from vcm.roi.session import GRAPH, KIND
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_graph import graph


def save(path: Path, net: PixelWordNet, card: dict[str, str]) -> None:
    """Write a network, its matrices in float16; `card` says how it was made."""
    tensors = {
        k: v.half() if v.ndim > 1 and v.is_floating_point() else v
        for k, v in net.state_dict().items()
    }
    weightfile.write(path, KIND, tensors | {GRAPH: graph(net)}, card)


def load(path: Path) -> tuple[PixelWordNet, dict[str, str]]:
    """The network in a weight file, in eval mode, and the file's card.

    Raises:
        ModelError: if the file is missing, damaged, or does not fit the network or vocabulary.
    """
    stored, card = weightfile.read(path, KIND)
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    tensors.pop(GRAPH, None)
    try:
        net = PixelWordNet(tensors["words"], tensors["members"])
        net.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: the weights do not fit the network: {reason}") from error
    if len(net.words) != len(vocabulary().classes):
        raise ModelError(
            f"{path}: expected weights for {len(vocabulary().classes)} classes, "
            f"got {len(net.words)}; use those of this version"
        )
    return net.eval().to(memory_format=torch.channels_last), card
