"""The loss of the words-to-mask network, against label planes."""

import numpy as np
import torch
from torch import Tensor

from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_data import WordBatch
from vcm.train.roi_labels import IGNORE, NONE

THERE, NOT_THERE = 0.35, 0.15  # probability from which a class is there; below which it is not


def segmentation_loss(logits: Tensor, batch: WordBatch) -> Tensor:
    """Cross-entropy per pixel plus half of the soft IoU loss over the classes in the batch.

    The second term counts a small object as much as a large one. Where a photo may show classes of
    rooms without labels, "none" means none or one of these.

    Args:
        logits: (B, K + 1, h, w), the background first.
    """
    first, p, second, q = batch.planes.unbind(1)
    known = first != IGNORE
    return _cross(logits, batch, known) + 0.5 * _soft_iou(logits, (first, p, second, q), known)


def _cross(logits: Tensor, batch: WordBatch, known: Tensor) -> Tensor:
    """Mean cross-entropy with the planes' probabilities over the known pixels."""
    first, p, second, q = batch.planes.unbind(1)
    a, b = p / 255.0, q / 255.0
    total = (a + b).clamp(min=1.0)
    a, b = a / total, b / total
    lowest = len(vocabulary().coco) + 1
    log = logits.log_softmax(1)
    none = torch.where(
        batch.rooms[:, None, None],
        torch.cat([log[:, :1], log[:, lowest:]], 1).logsumexp(1),
        log[:, 0],
    )
    one = log.gather(1, torch.where(known, first, NONE)[:, None])[:, 0]
    two = log.gather(1, second[:, None])[:, 0]
    loss = -(a * one + b * two + (1 - a - b) * none)
    return (loss * known).sum() / known.sum().clamp(min=1)


def _soft_iou(logits: Tensor, planes: tuple[Tensor, ...], known: Tensor) -> Tensor:
    """1 - soft IoU, mean over the classes in the batch."""
    first, p, second, q = planes
    there = known & (p >= 255 * THERE)
    present = [v for v in np.unique(first[there].numpy()).tolist() if v != NONE]
    if not present:
        return logits.new_zeros(())
    values = logits.softmax(1)[:, present]
    losses = []
    for i, value in enumerate(present):
        score = torch.where(first == value, p, torch.where(second == value, q, 0))
        target = (score >= 255 * THERE).float()
        weight = known & ((score >= 255 * THERE) | (score < 255 * NOT_THERE))
        found = values[:, i] * weight
        both = (found * target).sum()
        losses.append(1 - both / (found + target - found * target).sum())
    return torch.stack(losses).mean()
