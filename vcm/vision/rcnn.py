"""Faster and Mask R-CNN of detectron2 as task models. It is on no registry: found at run time."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from vcm.errors import ModelError
from vcm.vision.base import CONFIDENCE, MOST, Image, Kind, Objects, rle, sorted_objects
from vcm.vision.names import coco_name

INSTALL: Final = (
    "detectron2 is not installed, and no package registry has it; get it with: "
    "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2.git"
)
SURE: Final = 0.5  # confidence of what counts as there, where there are no labels


class Rcnn:
    """A detectron2 model with the preprocessing of its DefaultPredictor.

    Args:
        weights: a name of its model zoo, such as COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml
            (detectron2 downloads the weights), or a config of your own (.yaml) whose MODEL.WEIGHTS
            names a checkpoint, from the config's folder if it is no whole path.

    Raises:
        ModelError: if detectron2 is not installed, or config or checkpoint cannot be loaded.
    """

    def __init__(self, weights: str):
        cfg = _config(weights)
        self._net = _loaded(weights, cfg)
        self._format: str = cfg.INPUT.FORMAT  # "BGR" or "RGB", as its backbone was trained
        from detectron2.data.transforms import ResizeShortestEdge

        side = cfg.INPUT.MIN_SIZE_TEST
        self._resize: Any = ResizeShortestEdge([side, side], cfg.INPUT.MAX_SIZE_TEST)
        self.kind: Final[Kind] = "instances" if cfg.MODEL.MASK_ON else "boxes"
        self.names: Final = _names(weights, cfg)
        self.stride: Final = max(32, int(self._net.backbone.size_divisibility))

    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more, at most 300; image: (H, W, 3) uint8 RGB."""
        ordered = image if self._format == "RGB" else image[..., ::-1]
        resized = self._resize.get_transform(ordered).apply_image(ordered)
        x = torch.from_numpy(np.ascontiguousarray(resized, np.float32)).permute(2, 0, 1)
        height, width = image.shape[:2]
        with torch.no_grad():
            found = self._net([{"image": x, "height": height, "width": width}])[0]["instances"]
        masks = None
        if self.kind == "instances":
            masks = [rle(mask) for mask in found.pred_masks.numpy().astype(np.bool_)]
        boxes, scores = found.pred_boxes.tensor.numpy(), found.scores.numpy()
        return sorted_objects(boxes, scores, found.pred_classes.numpy(), masks)

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps of its pyramid, p2 to p6, finest first: (B, C, h, w) each.

        Args:
            x: (B, 3, H, W) float in [0, 1], RGB.
        """
        maps = self._net.backbone(self._net.preprocess_image(self._inputs(x)).tensor)
        return list(maps.values())

    @torch.no_grad()
    def labels(self, x: Tensor) -> list[Any]:
        """What the detector is sure of in pictures x, as detectron2's ground truth."""
        from detectron2.structures import BitMasks, Instances

        size = (x.shape[2], x.shape[3])
        labels = []
        for output in self._net(self._inputs(x)):
            found = output["instances"]
            found = found[found.scores >= SURE]
            truth = Instances(size, gt_boxes=found.pred_boxes, gt_classes=found.pred_classes)
            if self.kind == "instances":
                truth.gt_masks = BitMasks(found.pred_masks)
            labels.append(truth)
        return labels

    def loss(self, x: Tensor, labels: list[Any]) -> Tensor:
        """Its training losses on pictures x, summed: (). Proposals are sampled at random.

        Args:
            x: (B, 3, H, W) float in [0, 1], RGB.
            labels: of the same pictures, by `labels` or made alike from annotations.
        """
        from detectron2.utils.events import EventStorage

        inputs = [
            entry | {"instances": truth}
            for entry, truth in zip(self._inputs(x), labels, strict=True)
        ]
        self._net.train()  # its normalisation is frozen
        try:
            with EventStorage():
                losses: dict[str, Tensor] = self._net(inputs)
        finally:
            self._net.eval()
        return torch.stack(list(losses.values())).sum()

    def _inputs(self, x: Tensor) -> list[dict[str, Any]]:
        """Pictures as detectron2 takes them: (3, H, W) in [0, 255], in the backbone's order."""
        ordered = x if self._format == "RGB" else x.flip(1)
        return [{"image": 255 * picture} for picture in ordered]


def _config(weights: str) -> Any:
    """The config of a name or a file, made to report unsure objects as well."""
    try:
        from detectron2.config import get_cfg
    except ImportError as error:
        raise ModelError(INSTALL) from error
    cfg, own = get_cfg(), Path(weights)
    try:
        cfg.merge_from_file(str(own) if own.is_file() else _zoo("get_config_file", weights))
    except (OSError, RuntimeError, KeyError, ValueError, AssertionError) as error:
        raise ModelError(f"{weights}: no config of detectron2's zoo, and no such file") from error
    if not own.is_file():
        cfg.MODEL.WEIGHTS = _zoo("get_checkpoint_url", weights)
    elif cfg.MODEL.WEIGHTS and "://" not in cfg.MODEL.WEIGHTS:
        cfg.MODEL.WEIGHTS = str(own.parent / cfg.MODEL.WEIGHTS)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = CONFIDENCE
    cfg.TEST.DETECTIONS_PER_IMAGE = MOST
    return cfg


def _zoo(function: str, name: str) -> Any:
    try:
        from detectron2 import model_zoo
    except ImportError as error:  # it imports pkg_resources, which newer setuptools lack
        raise ModelError(
            f"{name}: detectron2's model zoo needs: pip install 'setuptools<81' ({error})"
        ) from error
    return getattr(model_zoo, function)(name)


def _loaded(weights: str, cfg: Any) -> Any:
    """The model with its weights, frozen; never with random ones."""
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.modeling import build_model

    if not cfg.MODEL.WEIGHTS:
        raise ModelError(f"{weights}: MODEL.WEIGHTS names no checkpoint")
    net, wrong = build_model(cfg), []

    class Strict(DetectionCheckpointer):  # type: ignore[misc]
        """Says what is missing; the original only logs it."""

        def _load_model(self, checkpoint: Any) -> Any:
            found = super()._load_model(checkpoint)
            wrong.extend([*found.missing_keys, *(name for name, *_ in found.incorrect_shapes)])
            return found

    try:
        Strict(net).load(cfg.MODEL.WEIGHTS)
    except Exception as error:  # pickles of any kind, a network that is not there
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{cfg.MODEL.WEIGHTS}: weights cannot be loaded: {reason}") from error
    if wrong:
        raise ModelError(
            f"{cfg.MODEL.WEIGHTS}: {len(wrong)} parameters of {weights} are missing or of another "
            f"shape, {wrong[0]} first"
        )
    return net.eval().requires_grad_(False)


def _names(weights: str, cfg: Any) -> tuple[str, ...]:
    """The classes of the data set that the config names."""
    from detectron2.data import MetadataCatalog

    for data in (*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN):
        names = MetadataCatalog.get(data).get("thing_classes")
        if names:
            return tuple(coco_name(name) for name in names)
    raise ModelError(
        f"{weights}: DATASETS.TEST {tuple(cfg.DATASETS.TEST)} has no class names; name a data set "
        f"that detectron2 knows, such as coco_2017_val"
    )
