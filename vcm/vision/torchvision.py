"""Detectors and segmenters of torchvision as task models."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as pillow
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.detection.transform import resize_boxes

from vcm.device import device_of
from vcm.errors import ModelError
from vcm.vision.base import CONFIDENCE, MASKED, MOST, Image, Kind, Objects, rle, sorted_objects
from vcm.vision.names import BACKGROUND, coco_name

# torchvision runs its own weights of these with an epsilon of 0, which no weight file tells.
NO_EPSILON: Final = (
    "fasterrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
)


class TorchVision:
    """Faster and Mask R-CNN, FCOS, RetinaNet, SSD; DeepLabv3, FCN and LR-ASPP.

    Args:
        weights: name of a model of torchvision, "fasterrcnn_resnet50_fpn", whose default weights
            torchvision downloads; "NAME=COCO_V1" for others that it has; or "NAME=FILE" with a
            state dict of that model, a .pth or .safetensors file. The file says how many classes
            there are; where these are as many as those of the default weights they have their
            names, otherwise "class 1" and so on.
        device: as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if there is no such device.
        ModelError: if there is no such model, or its weights cannot be downloaded or loaded.
    """

    def __init__(self, weights: str, device: str = "cpu"):
        self._device: Final = device_of(device)
        name, _, path = weights.partition("=")
        default = _default(name)
        if path in type(default).__members__:
            default, path = type(default)[path], ""
        self._transforms = default.transforms()
        self._net: Any
        self._net, count = _local(name, path, default) if path else _downloaded(name, default)
        self._net.to(self._device).eval().requires_grad_(False)
        self.kind: Final[Kind] = _kind(name)
        self.names: Final = _names(count, default)
        if self.kind != "semantic":
            # Faster and Mask R-CNN keep them in their second stage
            stage = getattr(self._net, "roi_heads", self._net)
            stage.score_thresh = CONFIDENCE
            stage.detections_per_img = MASKED if self.kind == "instances" else MOST
        if self.kind == "instances":
            self._net.transform.postprocess = _boxes_alone

    @torch.inference_mode()
    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more; image: (H, W, 3) uint8 RGB.

        At most 300, or 100 with masks.
        """
        x = torch.tensor(image, device=self._device).permute(2, 0, 1) / 255
        (found,) = self._net([x])
        found = {key: value.cpu() for key, value in found.items()}
        masks = None
        if self.kind == "instances":
            pairs = zip(found["masks"][:, None], found["boxes"][:, None], strict=True)
            whole = (paste_masks_in_image(mask, box, image.shape[:2]) for mask, box in pairs)
            masks = [rle((mask[0, 0] > 0.5).numpy()) for mask in whole]
        boxes, scores, labels = (found[key].numpy() for key in ("boxes", "scores", "labels"))
        return sorted_objects(boxes, scores, labels, masks)

    @torch.inference_mode()
    def segment(self, image: Image) -> NDArray[np.uint8]:
        """Index of each pixel's name: (H, W) uint8; image: (H, W, 3) uint8 RGB."""
        x = self._transforms(pillow.fromarray(image))[None].to(self._device)
        logits = F.interpolate(self._net(x)["out"], image.shape[:2], mode="bilinear")
        labels: NDArray[np.uint8] = logits[0].argmax(0).cpu().numpy().astype(np.uint8)
        return labels

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps of a detector's feature pyramid or a segmenter's backbone: (B, C, h, w) each.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; gradients reach it. It is not resized.
        """
        maps = self._net.backbone(self._normalised(x))
        return [value for key, value in maps.items() if key != "aux"]  # that is for training

    @torch.no_grad()
    def labels(self, x: Tensor) -> Tensor:
        """What a semantic segmenter says of pictures x: (B, H, W) int64."""
        return self._logits(x).argmax(1)

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of a semantic segmenter on pictures x with labels by `labels`: ()."""
        return F.cross_entropy(self._logits(x), labels)

    def _logits(self, x: Tensor) -> Tensor:
        if self.kind != "semantic":
            raise ModelError(f"a loss of labels needs a semantic segmenter, got {self.kind}")
        logits: Tensor = self._net(self._normalised(x))["out"]
        return logits

    def _normalised(self, x: Tensor) -> Tensor:
        if self.kind == "semantic":
            mean, std = self._transforms.mean, self._transforms.std
        else:
            mean, std = self._net.transform.image_mean, self._net.transform.image_std
        mean, std = (x.new_tensor(v).view(-1, 1, 1) for v in (mean, std))
        return (x - mean) / std


def _boxes_alone(
    found: list[dict[str, Tensor]], seen: list[tuple[int, int]], sizes: list[tuple[int, int]]
) -> list[dict[str, Tensor]]:
    """What was found, its boxes in pixels of the pictures as they were, its masks as they come.

    torchvision's own pastes all masks at once: 8 bytes a pixel for each object.
    """
    for result, shape, size in zip(found, seen, sizes, strict=True):
        result["boxes"] = resize_boxes(result["boxes"], shape, size)
    return found


def _kind(name: str) -> Kind:
    if name in models.list_models(module=models.segmentation):
        return "semantic"
    return "instances" if name.startswith("maskrcnn") else "boxes"


def _default(name: str) -> Any:
    """What torchvision knows of the model's best weights."""
    parts = models.detection, models.segmentation
    known = [model for part in parts for model in models.list_models(module=part)]
    if name not in known:
        raise ModelError(f"torchvision model {name!r}: expected one of {', '.join(known)}")
    return models.get_model_weights(name).DEFAULT


def _downloaded(name: str, default: Any) -> tuple[nn.Module, int]:
    """The model with torchvision's weights, and how many classes it has."""
    try:
        return models.get_model(name, weights=default), len(default.meta["categories"])
    except (OSError, RuntimeError) as error:  # no network; a damaged download
        file, folder = Path(default.url).name, Path(torch.hub.get_dir()) / "checkpoints"
        raise ModelError(
            f"torchvision's {name} cannot be downloaded ({_line(error)}); "
            f"get {default.url} elsewhere and put it into {folder}, "
            f"or give it as torchvision:{name}={file}"
        ) from error


def _local(name: str, path: str, default: Any) -> tuple[nn.Module, int]:
    """The model with the weights of a file, and how many classes it has."""
    state = _state(path)
    count = _classes(name, state, default)
    auxiliary = any(key.startswith("aux_classifier.") for key in state)
    options = {"aux_loss": True} if auxiliary else {}
    try:
        net = _empty(name, count, **options)
        net.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise ModelError(f"{path}: not the weights of {name} ({_line(error)})") from error
    if name in NO_EPSILON and _is_original(path, default):
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
    return net, count


def _empty(name: str, count: int, **options: bool) -> nn.Module:
    net: nn.Module = models.get_model(
        name, weights=None, weights_backbone=None, num_classes=count, **options
    )
    return net


def _state(path: str) -> dict[str, Tensor]:
    try:
        if path.endswith(".safetensors"):
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # no file, no archive, no tensors: torch raises many kinds
        raise ModelError(f"{path}: not a file of weights that loads ({_line(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: expected a state dict, tensors by name, got something else")
    return dict(state)  # without versions, which a .safetensors file does not have either


def _classes(name: str, state: dict[str, Tensor], default: Any) -> int:
    """How many classes the weights are for, by the first tensor that has too many or few rows."""
    usual = len(default.meta["categories"])
    with torch.device("meta"):
        net = _empty(name, usual)
    for key, tensor in net.state_dict().items():
        if key in state and state[key].shape[:1] != tensor.shape[:1]:
            return max(1, len(state[key]) * usual // len(tensor))
    return usual


def _names(count: int, default: Any) -> tuple[str, ...]:
    names = tuple(coco_name(name) for name in default.meta["categories"])
    if count == len(names):
        return names
    return (BACKGROUND, *(f"class {i}" for i in range(1, count)))


def _is_original(path: str, default: Any) -> bool:
    """Whether it is the file that torchvision downloads: the name of that ends in its digest."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest.startswith(Path(default.url).stem.rpartition("-")[2])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
