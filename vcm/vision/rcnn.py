"""Faster and Mask R-CNN of detectron2 as task models. It is on no registry: found at run time."""

import sys
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from vcm.device import device_of
from vcm.errors import ModelError
from vcm.vision.base import CONFIDENCE, MASKED, MOST, Image, Kind, Objects, rle, sorted_objects
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
            (detectron2 downloads the weights), or a config of your own (.yaml, or a folder with
            a config.yaml) whose MODEL.WEIGHTS names a checkpoint, from the config's folder if it
            is no whole path. A .pkl checkpoint is a pickle: it can run code, so know its source.
        device: as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if there is no such device.
        ModelError: if detectron2 is not installed, config or checkpoint cannot be loaded or are
            incomplete, or the model is another one than Faster or Mask R-CNN.
    """

    def __init__(self, weights: str, device: str = "cpu"):
        on = device_of(device)
        cfg = _config(weights)
        cfg.MODEL.DEVICE = str(on)
        self.names: Final = _names(weights, cfg)
        self._net = _loaded(weights, cfg)
        self._format: str = cfg.INPUT.FORMAT  # "BGR" or "RGB", as its backbone was trained
        from detectron2.data.transforms import ResizeShortestEdge

        side = cfg.INPUT.MIN_SIZE_TEST
        self._resize: Any = ResizeShortestEdge([side, side], cfg.INPUT.MAX_SIZE_TEST)
        self.kind: Final[Kind] = "instances" if cfg.MODEL.MASK_ON else "boxes"
        self.stride: Final = max(32, int(self._net.backbone.size_divisibility))

    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more, at most 300, or 100 with masks.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        ordered = image if self._format == "RGB" else image[..., ::-1]
        resized = self._resize.get_transform(ordered).apply_image(ordered)
        x = torch.from_numpy(np.ascontiguousarray(resized, np.float32)).permute(2, 0, 1)
        height, width = image.shape[:2]
        with torch.no_grad():
            (output,) = self._net([{"image": x, "height": height, "width": width}])
        found = output["instances"].to("cpu")
        masks = None
        if self.kind == "instances":
            masks = [rle(mask.numpy()) for mask in found.pred_masks]
        boxes, scores = found.pred_boxes.tensor.numpy(), found.scores.numpy()
        return sorted_objects(boxes, scores, found.pred_classes.numpy(), masks)

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps of its pyramid, p2 to p6, finest first: (B, C, h, w) float32 each.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], RGB; not resized, and padded with grey below and on
                the right to whole strides.
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
        self._net.train()
        for part in self._net.modules():
            if isinstance(part, _BatchNorm):
                part.eval()  # else each call would move its statistics
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
    """The config of a name, a folder or a file, made to report unsure objects as well."""
    try:
        import detectron2.modeling  # noqa: F401 - a package that it needs may be missing
        from detectron2.config import get_cfg
    except ImportError as error:
        raise ModelError(f"{INSTALL} ({_reason(error)})") from error
    cfg = get_cfg()
    try:
        _read(weights, cfg)
    except Exception as error:  # yaml, yacs, fvcore and detectron2 each raise their own
        raise ModelError(
            f"{weights}: expected a name of detectron2's model zoo, a config or a folder with a "
            f"config.yaml ({_reason(error)})"
        ) from error
    _check(weights, cfg)
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = CONFIDENCE
    cfg.TEST.DETECTIONS_PER_IMAGE = MASKED if cfg.MODEL.MASK_ON else MOST
    return cfg


def _read(weights: str, cfg: Any) -> None:
    """Fills the config, its MODEL.WEIGHTS a whole path or an address."""
    folder = Path(weights).is_dir()
    own = Path(weights, "config.yaml") if folder else Path(weights)
    if folder or own.is_file():
        cfg.merge_from_file(str(own), allow_unsafe=False)  # by default its tags can run code
        if cfg.MODEL.WEIGHTS and "://" not in cfg.MODEL.WEIGHTS:
            cfg.MODEL.WEIGHTS = str(own.parent / cfg.MODEL.WEIGHTS)
    else:
        zoo = _model_zoo()
        cfg.merge_from_file(zoo.get_config_file(weights))
        cfg.MODEL.WEIGHTS = zoo.get_checkpoint_url(weights)


def _model_zoo() -> Any:
    """detectron2's table of configs and checkpoints.

    It imports pkg_resources for one function. setuptools warns of that module, and from version 81
    on has none: the import finds a module with that function alone.
    """
    name = "pkg_resources"
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name])["resource_filename"] = lambda package, path: str(
            resources.files(package) / path
        )
    try:
        from detectron2 import model_zoo
    finally:
        if absent:
            del sys.modules[name]
    return model_zoo


def _check(weights: str, cfg: Any) -> None:
    """That it is a model which this adapter runs as its DefaultPredictor would.

    Raises:
        ModelError: if not.
    """
    kinds = cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.PROPOSAL_GENERATOR.NAME
    if kinds != ("GeneralizedRCNN", "RPN"):  # others have other outputs and thresholds
        raise ModelError(f"{weights}: expected a Faster or Mask R-CNN, got {' with '.join(kinds)}")
    if cfg.INPUT.FORMAT not in ("BGR", "RGB"):
        raise ModelError(f"{weights}: INPUT.FORMAT: expected BGR or RGB, got {cfg.INPUT.FORMAT}")
    if not cfg.MODEL.WEIGHTS:
        raise ModelError(f"{weights}: MODEL.WEIGHTS names no checkpoint")


def _loaded(weights: str, cfg: Any) -> Any:
    """The model with its weights, frozen; never with random ones."""
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.modeling import build_model

    reports: list[Any] = []
    try:
        net = build_model(cfg)
        checkpointer = DetectionCheckpointer(net)
        checkpointer._log_incompatible_keys = reports.append  # it would only log them
        checkpointer.load(cfg.MODEL.WEIGHTS)
    except Exception as error:  # pickles of any kind, a network that is not there
        remote = "; without a network give a folder that holds them: rcnn:FOLDER"
        raise ModelError(
            f"{cfg.MODEL.WEIGHTS}: weights cannot be loaded{remote * ('://' in cfg.MODEL.WEIGHTS)} "
            f"({_reason(error)})"
        ) from error
    (report,) = reports
    wrong = dict.fromkeys([*report.missing_keys, *(key for key, *_ in report.incorrect_shapes)])
    if wrong:
        raise ModelError(
            f"{cfg.MODEL.WEIGHTS}: {len(wrong)} parameters of {weights} are missing or of another "
            f"shape, {next(iter(wrong))} first"
        )
    return net.eval().requires_grad_(False)


def _names(weights: str, cfg: Any) -> tuple[str, ...]:
    """The classes of the data set that the config names."""
    from detectron2.data import MetadataCatalog

    for data in (*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN):
        names = MetadataCatalog.get(data).get("thing_classes")
        if names:
            break
    else:
        raise ModelError(
            f"{weights}: DATASETS.TEST {tuple(cfg.DATASETS.TEST)} has no class names; name a data "
            f"set that detectron2 knows, such as coco_2017_val"
        )
    if len(names) != cfg.MODEL.ROI_HEADS.NUM_CLASSES:
        raise ModelError(
            f"{weights}: the model has {cfg.MODEL.ROI_HEADS.NUM_CLASSES} classes, {data} of "
            f"DATASETS has {len(names)}; name the data set that the model was trained for"
        )
    return tuple(coco_name(name) for name in names)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
