"""Masks by a YOLO segmentation model, for its own classes. ultralytics is AGPL-3.0: optional."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vcm.device import device_of
from vcm.errors import ModelError, UnknownWord
from vcm.roi.embedded import cover
from vcm.roi.vocabulary import forms, vocabulary
from vcm.vision.yolo import load_yolo

LEAST_CONFIDENCE: Final = 0.05  # instances below this cannot matter for any sensible tau


class SegmenterBackend:
    """Similarity = confidence of the most confident instance that covers the pixel.

    Args:
        weights: path of a YOLO segmentation checkpoint, or a name that ultralytics downloads.
        device: as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if there is no such device.
        MissingExtra: if ultralytics is not installed.
        ModelError: if the checkpoint cannot be loaded or is not of a segmenter.
    """

    name: Final = "segmenter"
    tau: Final = 0.3
    growth: Final = 1.0  # an instance is found or it is not

    def __init__(self, weights: str = "yolo11n-seg.pt", device: str = "cpu"):
        self._device: Final = device_of(device)
        self._model = load_yolo(weights)
        self._names = {name.lower(): int(i) for i, name in self._model.names.items()}
        if self._model.task != "segment":
            raise ModelError(
                f"{weights}: expected a YOLO segmenter, got one for {self._model.task}"
            )

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterator[NDArray[np.float32]]:
        """Maps in [0, 1]: (H, W) float32 each; image: (H, W, 3) uint8 RGB.

        Raises:
            UnknownWord: if a phrase stands for none of the model's classes.
        """
        wanted = [self._classes(phrase) for phrase in phrases]
        found = instances(self._model, image, LEAST_CONFIDENCE, self._device)

        def plane(classes: tuple[int, ...]) -> NDArray[np.float32]:
            target = np.zeros(image.shape[:2], np.float32)
            for mask, class_, score in found:
                if class_ in classes:
                    np.maximum(target, mask * np.float32(score), out=target)
            return target

        return (plane(classes) for classes in wanted)

    @property
    def has_coco_classes(self) -> bool:
        """Whether its classes are COCO's, so that the vocabulary's words can be used."""
        return has_coco_classes(self._model)

    def knows(self, phrase: str) -> bool:
        """Whether the model has all classes that a phrase stands for."""
        if self.has_coco_classes:
            known = vocabulary()
            return known.knows(phrase) and all(map(self._has, known.read(phrase).cover))
        return any(form in self._names for form in forms(phrase))

    def check(self, phrase: str) -> None:
        """Raises UnknownWord if a phrase stands for none of the model's classes."""
        self._classes(phrase)

    def _has(self, class_: int) -> bool:
        """Whether the model has a class of the vocabulary, whose first classes are COCO's."""
        return class_ < len(self._names)

    def _classes(self, phrase: str) -> tuple[int, ...]:
        """Indices of a phrase's classes: by our vocabulary if they are COCO's, else by name."""
        if self.has_coco_classes and any(map(self._has, cover(phrase))):
            return cover(phrase)
        for form in forms(phrase):
            if form in self._names:
                return (self._names[form],)
        known = ", ".join(self._names)
        raise UnknownWord(f"the segmenter has no class {phrase[:40]!r}; it has: {known}")


def has_coco_classes(model: Any) -> bool:
    """Whether the classes are COCO's in COCO's order; synonyms of their names are accepted."""
    known = vocabulary()
    own = [known.meaning.get(model.names[i].lower()) for i in sorted(model.names)]
    return own == [(i,) for i in range(len(known.coco))]


def instances(
    model: Any, image: NDArray[np.uint8], confidence: float, device: torch.device | None = None
) -> list[tuple[NDArray[np.bool_], int, float]]:
    """Mask (H, W) bool, class index and confidence of each instance; image: (H, W, 3) RGB.

    Args:
        device: None: ultralytics chooses.
    """
    bgr = np.ascontiguousarray(image[..., ::-1])  # ultralytics takes arrays as BGR
    (result,) = model.predict(bgr, conf=confidence, verbose=False, retina_masks=True, device=device)
    if result.masks is None:
        return []
    masks = result.masks.data.cpu().numpy() > 0.5
    boxes = zip(masks, result.boxes.cls.tolist(), result.boxes.conf.tolist(), strict=True)
    return [(mask, int(class_), score) for mask, class_, score in boxes]
