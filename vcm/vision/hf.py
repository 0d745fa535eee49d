"""Detectors and segmenters of transformers as task models, from a folder or from the hub."""

from functools import partial
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as pillow
from torch import Tensor

from vcm.device import device_of
from vcm.errors import MissingExtra, ModelError
from vcm.vision import hub
from vcm.vision.base import CONFIDENCE, MASKED, Image, Kind, Objects, rle, sorted_objects
from vcm.vision.names import BACKGROUND, COCO, coco_name

UNIVERSAL: Final = "AutoModelForUniversalSegmentation"
# How the name of a model's class ends -> the class of transformers that loads it.
TASKS: Final = {
    "ForObjectDetection": "AutoModelForObjectDetection",
    "ForSemanticSegmentation": "AutoModelForSemanticSegmentation",
    "Mask2FormerForUniversalSegmentation": UNIVERSAL,
    "MaskFormerForInstanceSegmentation": UNIVERSAL,
}
KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "AutoModelForObjectDetection": ("boxes",),
    "AutoModelForSemanticSegmentation": ("semantic",),
    UNIVERSAL: ("instances", "semantic"),
}
FOLDER: Final = "model's folder"  # the hint where one cannot be loaded


class HuggingFace:
    """Detector (DETR, RT-DETR, YOLOS), semantic segmenter (SegFormer), Mask2Former or MaskFormer.

    The picture is prepared, and the output turned into boxes, masks or labels of the picture's
    own size, as the model's own image processor does it.

    Args:
        weights: hub id or local folder.
        kind: for Mask2Former and MaskFormer, "instances" or "semantic". None: "instances" if at
            least half of its names are things of COCO, such as "person", and none is the
            background; otherwise "semantic", as for ADE20K and for Cityscapes' 19 classes.
        device: as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if there is no such device.
        MissingExtra: if transformers is not installed.
        ModelError: if the weights cannot be loaded or are incomplete, or the model does
            something else.
    """

    def __init__(self, weights: str, kind: Kind | None = None, device: str = "cpu"):
        on = device_of(device)
        try:
            import transformers
        except ImportError as error:
            raise MissingExtra("transformers", "clipseg") from error
        (config,) = hub.load("model", weights, FOLDER, transformers.AutoConfig.from_pretrained)
        auto = _task(weights, config)
        names = _names(config.id2label)
        self.kind: Final[Kind] = _kind(weights, KINDS[auto], names, kind)
        shift = self.kind == "semantic" and names[0] != BACKGROUND
        self._shift: Final = int(shift)  # of labels, to make room for the background
        self.names: Final = (BACKGROUND, *names) if shift else names
        if self.kind == "semantic" and len(self.names) > 255:  # 255 means: not known
            raise ModelError(f"{weights}: expected at most 255 classes, got {len(self.names)}")
        load = partial(getattr(transformers, auto).from_pretrained, output_loading_info=True)
        self._processor, loaded = hub.load(
            "model", weights, FOLDER, transformers.AutoImageProcessor.from_pretrained, load
        )
        self._model = _complete(weights, *loaded).to(on).float().eval().requires_grad_(False)

    @torch.inference_mode()
    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more, at most 300; image: (H, W, 3) uint8 RGB."""
        size, output = image.shape[:2], self._run(image)
        if self.kind == "instances":
            (found,) = self._processor.post_process_instance_segmentation(
                output, threshold=CONFIDENCE, target_sizes=[size], return_binary_maps=True
            )
            return _instances(found)
        (found,) = self._processor.post_process_object_detection(
            output, threshold=CONFIDENCE, target_sizes=[size]
        )
        return sorted_objects(
            *(found[key].numpy(force=True) for key in ("boxes", "scores", "labels"))
        )

    @torch.inference_mode()
    def segment(self, image: Image) -> NDArray[np.uint8]:
        """Index of each pixel's name: (H, W) uint8; image: (H, W, 3) uint8 RGB."""
        (labels,) = self._processor.post_process_semantic_segmentation(
            self._run(image), target_sizes=[image.shape[:2]]
        )
        shifted: NDArray[np.uint8] = (labels.numpy(force=True) + self._shift).astype(np.uint8)
        return shifted

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps of the backbone or of the encoder, finest first: (B, C, h, w) each.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; gradients reach it. It is not resized.
        """
        x = self._normalised(x)
        backbone = _backbone(self._model.base_model)
        if backbone is not None:
            maps = backbone(x)
            return list(getattr(maps, "feature_maps", maps))
        hidden = self._model.base_model(x, output_hidden_states=True).hidden_states
        if hidden[0].dim() == 4:
            return list(hidden)
        return [_map(tokens, x, self._model.config.patch_size) for tokens in hidden[1:]]

    @torch.no_grad()
    def labels(self, x: Tensor) -> Tensor:
        """What a semantic segmenter says of pictures x, on its own grid: (B, h, w) int64."""
        return self._logits(x).argmax(1)

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of a semantic segmenter on pictures x with labels by `labels`: ()."""
        return F.cross_entropy(self._logits(x), labels)

    def _logits(self, x: Tensor) -> Tensor:
        if self.kind != "semantic" or self._model.main_input_name != "pixel_values":
            raise ModelError(f"a loss of labels needs a semantic segmenter, got {self.kind}")
        logits: Tensor | None = getattr(self._model(self._normalised(x)), "logits", None)
        if logits is None:
            raise ModelError("a loss of labels needs a segmenter that scores each pixel")
        return logits

    def _run(self, image: Image) -> Any:
        inputs = self._processor(images=pillow.fromarray(image), return_tensors="pt")
        return self._model(**inputs.to(self._model.device))

    def _normalised(self, x: Tensor) -> Tensor:
        processor = self._processor
        if getattr(processor, "do_flip_channel_order", False):
            x = x.flip(1)
        if not getattr(processor, "do_normalize", False):
            return x
        mean, std = (
            x.new_tensor(v).view(-1, 1, 1) for v in (processor.image_mean, processor.image_std)
        )
        return (x - mean) / std


def _task(weights: str, config: Any) -> str:
    """The class of transformers that loads the model."""
    architecture = (config.architectures or ["none"])[0]
    for ending, task in TASKS.items():
        if architecture.endswith(ending):
            return task
    raise ModelError(
        f"{weights}: expected a model whose class ends in one of {', '.join(TASKS)}, "
        f"got {architecture}"
    )


def _kind(weights: str, kinds: tuple[Kind, ...], names: tuple[str, ...], kind: Kind | None) -> Kind:
    if kind is not None and kind not in kinds:
        raise ModelError(f"{weights}: expected kind {' or '.join(kinds)}, got {kind}")
    if kind is not None or len(kinds) == 1:
        return kind or kinds[0]
    things = BACKGROUND not in names and 2 * len(set(names) & set(COCO)) >= len(names)
    return "instances" if things else "semantic"


def _names(id2label: dict[int, str]) -> tuple[str, ...]:
    """By label, in COCO's spelling; a label that the config leaves out is "N/A", as in COCO's."""
    return tuple(coco_name(id2label.get(i, "N/A")) for i in range(max(id2label) + 1))


def _complete(weights: str, model: Any, info: Any) -> Any:
    """The model, if no parameter is missing: transformers makes up what is, and warns at most."""
    missing = sorted(set(info["missing_keys"]) & {name for name, _ in model.named_parameters()})
    if missing:
        raise ModelError(
            f"{weights}: {len(missing)} weights of {type(model).__name__} are missing: "
            f"{', '.join(missing[:3])}"
        )
    return model


def _instances(found: Any) -> Objects:
    """Masks of the picture's size with their boxes."""
    infos = found["segments_info"]
    pairs = zip(infos, found["segmentation"] if infos else [], strict=True)
    best = sorted(pairs, key=lambda pair: -pair[0]["score"])[:MASKED]
    infos, masks = [info for info, _ in best], [mask.numpy(force=True) > 0.5 for _, mask in best]
    boxes = np.array([_box(mask) for mask in masks], np.float32)
    scores, labels = ([info[key] for info in infos] for key in ("score", "label_id"))
    return sorted_objects(
        boxes, np.array(scores, np.float32), np.array(labels, np.int64), [rle(m) for m in masks]
    )


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2, half-open."""
    (columns,), (rows,) = (np.nonzero(mask.any(axis)) for axis in (0, 1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _backbone(base: Any) -> Any:
    """The part that makes the feature maps of a DETR or a MaskFormer; None: there is none."""
    if hasattr(base, "pixel_level_module"):
        return base.pixel_level_module.encoder
    found = getattr(base, "backbone", None)
    found = getattr(found, "conv_encoder", found)
    return getattr(found, "model", found)


def _map(tokens: Tensor, x: Tensor, patch: int) -> Tensor:
    """The patches' tokens as a map; before them is one for the picture, behind them are others."""
    height, width = (side // patch for side in x.shape[-2:])
    patches = tokens[:, 1 : 1 + height * width]  # (B, h * w, C)
    return patches.transpose(1, 2).reshape(len(x), -1, height, width)
