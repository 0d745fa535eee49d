"""YOLO as something to learn from: gradients of its features and of its own loss reach the pixels.

ultralytics' `predict` runs without gradients and may fuse layers into tensors that cannot have
any; here the network itself is called. AGPL-3.0: optional, imported only when used.
"""

from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor, nn

from vcm.device import device_of
from vcm.errors import ModelError
from vcm.vision.yolo import KINDS, load_yolo

SURE: Final = 0.25  # confidence of what counts as there, where there are no labels
TINY: Final = 1e-6  # smallest probability
IOU: Final = 0.7  # of the suppression of doubles, as in ultralytics' predictor


class YoloNet:
    """The frozen network of an ultralytics detector or segmenter.

    Args:
        weights: path of a .pt file, or an ultralytics name (which ultralytics downloads).
        device: as `vcm.device.device_of` takes it; pictures must be there, too.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded, or is no YOLO detector or segmenter.
        SpecError: if there is no such device.
    """

    stride: Final = 32  # sides of its pictures are multiples of it

    def __init__(self, weights: str, device: str = "cpu"):
        from ultralytics.cfg import get_cfg

        on = device_of(device)
        yolo = load_yolo(weights)
        is_network = isinstance(yolo.model, nn.Module)  # of an exported file it is a name
        head: Any = yolo.model.model[-1] if is_network and yolo.task in KINDS else None
        if not hasattr(head, "one2many"):
            raise ModelError(
                f"{weights}: expected a YOLO detector or segmenter, got one for {yolo.task} "
                f"({type(head).__name__})"
            )
        head.end2end = False  # of two branches the one whose gradients reach the pixels
        self.net: Any = yolo.model.to(on).float().eval().requires_grad_(False)
        # Only the head: it gives what the loss needs; batch normalisation stays as it was.
        self.net.model[-1].training = True
        given = self.net.args if isinstance(self.net.args, dict) else vars(self.net.args)
        self.net.args = get_cfg(
            overrides={k: given[k] for k in ("box", "cls", "dfl") if k in given}
        )

    @cached_property
    def _criterion(self) -> Any:
        """Made when it is first used: it stays on the device that the network is on then."""
        return self.net.init_criterion()

    def features(self, x: Tensor) -> list[Tensor]:
        """What the head reads, finest first: (B, C, h, w) each, at 1/8, 1/16 and 1/32.

        Args:
            x: (B, 3, H, W) float in [0, 1], RGB; H and W multiples of 32.
        """
        told = self.net(x)
        feats: list[Tensor] = told.get("one2many", told)["feats"]
        return feats

    @torch.no_grad()
    def labels(self, x: Tensor) -> dict[str, Tensor]:
        """What the detector is sure of in pictures x, in the form that its loss takes."""
        from ultralytics.utils.nms import non_max_suppression

        decoded, found = self._decoded(x)
        kept = non_max_suppression(decoded, SURE, IOU, nc=self.net.model[-1].nc)
        height, width = x.shape[-2:]
        size = torch.tensor([width, height, width, height], device=x.device)
        corners = [k[:, :4] / size for k in kept]
        batch = {
            "batch_idx": torch.cat([k.new_full((len(k),), i) for i, k in enumerate(kept)]),
            "cls": torch.cat([k[:, 5:6] for k in kept]),
            "bboxes": torch.cat([_centred(c) for c in corners]),
        }
        if hasattr(self.net.model[-1], "proto"):
            batch["masks"] = _masks(found, kept, (height, width))
        return batch

    def loss(self, x: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """Its training loss on pictures x, per picture: ().

        Args:
            x: (B, 3, H, W) float in [0, 1], RGB.
            labels: of the same pictures, by `labels` or made alike from annotations.
        """
        total: Tensor = self._criterion(self.net(x), labels)[0]
        return total.sum() / len(x)

    def distance(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """How far what it answers on pictures x_hat is from what it answers on x: (B,).

        Divergence of its class probabilities at every place, and one minus the CIoU of its boxes,
        which counts by how sure it is on x; with the gains of its own loss, per sure place (at
        least one, as there). No threshold decides what is there, and no doubles are suppressed.
        Masks do not count.

        Source: Chen et al. 2017, learning efficient detectors by distillation (soft targets).
        Deviations: ultralytics' scores are independent classes; CIoU in the place of a bounded L2.

        Args:
            x_hat, x: (B, 3, H, W) float in [0, 1], RGB; H and W multiples of 32.
        """
        from ultralytics.utils.metrics import bbox_iou

        count, gains = self.net.model[-1].nc, self.net.args
        with torch.no_grad():
            wanted = self._decoded(x)[0].transpose(1, 2)  # (B, places, 4 + classes)
        found = self._decoded(x_hat)[0].transpose(1, 2)
        p, q = (t[..., 4 : 4 + count].clamp(TINY, 1 - TINY) for t in (wanted, found))
        divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
        iou = bbox_iou(found[..., :4], wanted[..., :4], xywh=True, CIoU=True)[..., 0]
        sure = p.amax(-1)  # (B, places)
        each = gains.cls * divergence.sum(-1) + gains.box * sure * (1 - iou)
        return each.sum(1) / sure.sum(1).clamp(min=1)  # type: ignore[no-any-return]

    def _decoded(self, x: Tensor) -> tuple[Tensor, Any]:
        """Boxes (x, y, w, h in pixels), probabilities, coefficients of masks: (B, 4 + ..., places);
        and all that the network gives with them.
        """
        head = self.net.model[-1]
        head.training = False
        found = self.net(x)
        head.training = True
        return found[0][0] if isinstance(found[0], tuple) else found[0], found


def _centred(corners: Tensor) -> Tensor:
    """x, y, w, h of the middle, from x1, y1, x2, y2: (N, 4)."""
    low, high = corners[:, :2], corners[:, 2:]
    return torch.cat([(low + high) / 2, high - low], 1)


def _masks(found: Any, kept: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Instances of each picture in one map, 1, 2, ...; a quarter of the size: (B, h, w)."""
    from ultralytics.utils.ops import process_mask

    proto = found[0][1] if isinstance(found[0], tuple) else found[1]["proto"]
    maps = torch.zeros(len(kept), *proto.shape[-2:], device=proto.device)
    for target, prototypes, objects in zip(maps, proto, kept, strict=True):
        masks = process_mask(prototypes, objects[:, 6:], objects[:, :4], size) > 0.5
        for i in masks.sum((1, 2)).argsort(descending=True).tolist():  # small things lie on large
            target[masks[i]] = i + 1
    return maps
