"""Label maps to train the embedded ROI network: VOC's own masks and a teacher's pseudo-labels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vcm import image
from vcm.errors import ModelError
from vcm.roi.segmenter import has_coco_classes, instances
from vcm.roi.vocabulary import vocabulary
from vcm.vision.yolo import load_yolo

# VOC's class names by label value, in the names of our vocabulary.
VOC = (
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch",
    "train", "tv",
)  # fmt: skip
NONE, IGNORE = 0, 255
SURE, UNSURE = 0.4, 0.15  # confidence of a pseudo-label; between them a region is ignored


def make_labels(photos: Path, voc_masks: Path, teacher: str, target: Path) -> int:
    """Write a label map (PNG, 0 none, class + 1, 255 ignored) for each photo; how many were new.

    Where a photo has a VOC mask, that mask decides about the VOC classes and the teacher only adds
    other classes outside of them.

    Raises:
        MissingExtra: if ultralytics is not installed.
        ModelError: if the teacher's classes are not those of the vocabulary.
    """
    target.mkdir(parents=True, exist_ok=True)
    missing = [p for p in image.folder(photos) if not (target / f"{p.stem}.png").exists()]
    if not missing:
        return 0
    model = load_yolo(teacher)
    if model.task != "segment" or not has_coco_classes(model):
        raise ModelError(f"{teacher}: expected a segmenter of the 80 COCO classes")
    for path in missing:
        picture = image.read(path)
        labels = _pseudo(model, picture)
        voc = voc_masks / f"{path.stem}.png"
        if voc.is_file():
            labels = with_voc(labels, np.asarray(Image.open(voc)))
        image.write(target / f"{path.stem}.png", labels)
    return len(missing)


def _pseudo(model: Any, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The teacher's instances painted from least to most confident: (H, W) uint8.

    Class indices are COCO's, whatever the checkpoint calls them.
    """
    labels = np.full(picture.shape[:2], NONE, np.uint8)
    for mask, class_, score in sorted(instances(model, picture, UNSURE), key=lambda i: i[2]):
        labels[mask] = class_ + 1 if score >= SURE else IGNORE
    return labels


def with_voc(pseudo: NDArray[np.uint8], voc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """VOC's mask where it says something, the teacher's other classes elsewhere.

    VOC counts what stands on a table as table: there the teacher's other classes win as well.
    """
    classes = vocabulary().classes
    value = np.zeros(256, np.uint8)
    value[1 : len(VOC) + 1] = [classes.index(name) + 1 for name in VOC]
    value[255] = IGNORE
    exact = value[voc]
    other = np.where(np.isin(pseudo, value[1 : len(VOC) + 1]), NONE, pseudo)
    on_table = (voc == 1 + VOC.index("dining table")) & (other != NONE)
    return np.where((exact != NONE) & ~on_table, exact, other).astype(np.uint8)
