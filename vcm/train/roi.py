"""Training of the words-to-mask network; `vcm train-roi --config configs/roi.toml`."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vcm import image, toml
from vcm.errors import SpecError
from vcm.roi import session
from vcm.roi.network import Pixels, PixelWordNet
from vcm.train import checkpoint
from vcm.train.resume import described, differences
from vcm.train.roi_data import batch, by_class
from vcm.train.roi_graph import package
from vcm.train.roi_importance import learn
from vcm.train.roi_loss import segmentation_loss
from vcm.train.roi_photos import LabelledPhoto, gather, kept_apart
from vcm.train.roi_score import card, score
from vcm.train.roi_start import pretrained
from vcm.train.roi_teacher import teach
from vcm.train.roi_weights import load, save

FREE: Final = ("folder", "threads", "save_every")  # keys that do not change what is learnt


@dataclass(frozen=True)
class RoiTraining:
    """A config of the ROI network's training.

    Attributes:
        photos, voc_masks: pictures, and VOC label maps for some of them.
        more: the folder "words" that data/more.py makes; "": none.
        teacher: YOLO segmenter that labels what people did not label.
        detectors: those whose gradients the importance head learns from, see `roi_importance`; ():
            the head is not trained.
        words: sentence embeddings of the class names (experiments/00_words).
        initial: weights of such a network to start from; "": ImageNet's for its backbone.
        folder: for checkpoints, labels and weights; if it has a checkpoint, that run is resumed.
        lr: of the head; the pretrained backbone has a tenth of it.
        still: first stages of the backbone that are frozen; 7: all, which halves a step's time.
        hide: share of the classes whose cosine is hidden in a step.
        seed: of all random numbers.
        threads: torch's CPU threads, 0 = its own choice.
    """

    photos: Path = Path("../shared/data/train/images")
    voc_masks: Path = Path("../shared/data/train/voc_class_masks")
    more: str = ""
    teacher: str = "../shared/weights/yolov8n-seg.pt"
    detectors: tuple[str, ...] = ()
    words: Path = Path("runs/roi/words.safetensors")
    initial: str = ""
    folder: Path = Path("runs/roi")
    steps: int = 6_000
    batch: int = 8
    crop: int = 320
    lr: float = 1e-3
    still: int = 7
    hide: float = 0.3
    seed: int = 0
    threads: int = 0
    save_every: int = 200

    def __post_init__(self) -> None:
        for key in ("steps", "batch", "crop", "save_every"):
            if getattr(self, key) < 1:
                raise SpecError(f"{key}: expected 1 or more, got {getattr(self, key)}")
        if self.crop % 32 or not self.lr > 0:
            raise SpecError(
                f"expected a crop in multiples of 32 and lr over 0, got {self.crop} and {self.lr}"
            )
        if not 0 <= self.hide < 1 or not 0 <= self.still <= 7:
            raise SpecError(f"expected hide 0 to 1, still 0 to 7, got {self.hide}, {self.still}")


def main(path: Path) -> None:
    """Train by a config file, or resume; prints lines about progress."""
    config = toml.load(path, RoiTraining)
    if config.threads:
        torch.set_num_threads(config.threads)
    for record in train_roi(config):
        print(record, flush=True)


def train_roi(config: RoiTraining) -> Iterator[str]:
    """Train and yield lines about progress: each follows a checkpoint, the last the weight file.

    A run that is interrupted and started again ends with the same weights as an unbroken one.
    """
    package()  # fails here if it is missing, not after hours of work
    more = Path(config.more) if config.more else None
    folders = [config.photos, *([more / "images"] if more else [])]
    paths = [path for folder in folders for path in image.folder(folder)]
    yield from teach(paths, config.teacher, config.folder / "teacher")
    photos = gather(config.photos, config.voc_masks, more, config.folder)
    apart = kept_apart(photos)
    training = [photo for photo in photos if photo.path not in apart]
    yield f"{len(training)} photos to learn from, {len(apart)} held out"
    if not training or not apart:
        raise SpecError(f"{config.photos}: expected a few dozen photos, got {len(photos)}")
    run = _Run(config, training)
    started, losses = time.perf_counter(), []
    while run.step < config.steps:
        losses.append(run.advance())
        if run.step % config.save_every == 0 or run.step == config.steps:
            run.save()
            seconds = (time.perf_counter() - started) / len(losses)
            yield f"step {run.step}  loss {np.mean(losses):.4f}  {seconds:.2f} s/step"
            losses, started = [], time.perf_counter()
    yield run.release(sorted(photo for photo in photos if photo.path in apart))


class _Run:
    """The state of a training, from its checkpoint if there is one."""

    def __init__(self, config: RoiTraining, photos: Sequence[LabelledPhoto]):
        torch.manual_seed(config.seed)
        self.config, self.photos, self.classes = config, photos, by_class(photos)
        self.net = load(Path(config.initial))[0] if config.initial else pretrained(config.words)
        self.optimiser = _optimiser(self.net, config)
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
        """Make one step and return its loss. It depends only on the state and the step's number."""
        rng = np.random.default_rng((self.config.seed, self.step))
        data = batch(self.photos, self.classes, self.config.batch, self.config.crop, rng)
        warm = min(1.0, (self.step + 1) / 100)
        rate = warm * 0.5 * (1 + math.cos(math.pi * self.step / self.config.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * group["factor"] * rate
        hidden = torch.from_numpy(rng.random(len(self.net.words)) < self.config.hide)
        loss = segmentation_loss(self.net.logits(self._pixels(data.x), hidden), data)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self.average.update(self.net, self.step)
        return loss.item()

    def _pixels(self, x: Tensor) -> Pixels:
        """`PixelWordNet.pixels` in bfloat16, without gradients for the frozen parts."""
        net, still = self.net, self.config.still
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                first, features = net.backbone.begin(x, still)
            features += net.backbone.go_on(first, still)
            with torch.no_grad():  # ImageNet's classifier is frozen
                known = net.known(features[-1])
            return net.read(features, known)

    def save(self) -> None:
        state = {"step": self.step, "model": self.net.state_dict(), "average": self.average.values}
        rest = {"optimiser": self.optimiser.state_dict(), "config": described(self.config)}
        checkpoint.save(self.path, state | rest)

    def release(self, apart: Sequence[LabelledPhoto]) -> str:
        """Write the averaged weights, with their scores on the held-out photos in the card."""
        self.net.load_state_dict(self.average.values)
        path, notes = self.config.folder / "roi.safetensors", {"steps": str(self.step)}
        if names := self.config.detectors:
            found = learn(self.net, self.photos, apart, names, self.config.folder / "importance")
            notes["importance_correlation"] = f"{found:.3f}"
        save(path, self.net.eval(), {})
        result = score(session.load(path)[0], apart)
        save(path, self.net, notes | card(result))
        mean, shown = 100 * np.nanmean(result.iou), int((result.photos > 0).sum())
        return (
            f"{len(apart)} held-out photos: IoU {mean:.1f} of {shown} classes at tau {result.tau:g}"
        )


def _optimiser(net: PixelWordNet, config: RoiTraining) -> torch.optim.Optimizer:
    own = {id(p) for p in net.backbone.parameters()}
    still = {id(p) for part in net.backbone.parts(config.still) for p in part.parameters()}
    still |= {id(p) for part in (net.conv_head, net.bn2, net.classifier) for p in part.parameters()}
    learn = [p for p in net.parameters() if id(p) not in still]
    groups = [
        {"params": [p for p in learn if id(p) not in own], "factor": 1.0},
        {"params": [p for p in learn if id(p) in own], "factor": 0.1},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, weight_decay=0.01)
