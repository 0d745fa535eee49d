"""Open-vocabulary detectors from transformers: any words, with boxes as masks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vcm.device import device_of
from vcm.errors import MissingExtra, ModelError
from vcm.vision import hub

LEAST: Final = 0.05  # scores below this cannot matter for any sensible tau


class Family(NamedTuple):
    """How a kind of model is used.

    Attributes:
        tau: threshold that suits its scores.
        queries: whether one pass takes all phrases and scores each; otherwise a pass takes one.
        square: whether its processor pads pictures to squares, which the boxes then refer to.
    """

    tau: float
    queries: bool
    square: bool


FAMILIES: Final = {
    "owlvit": Family(0.1, queries=True, square=False),
    "owlv2": Family(0.2, queries=True, square=True),
    "grounding-dino": Family(0.35, queries=False, square=False),
    "mm-grounding-dino": Family(0.35, queries=False, square=False),
}


class Grounding:
    """Similarity = score of the most confident box that covers the pixel.

    Source: Minderer et al. 2023, arXiv:2306.09683 (OWLv2); Liu et al. 2023, arXiv:2303.05499
    (Grounding DINO).

    Args:
        weights: hub id or local folder of a model of one of `FAMILIES`.
        device: as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if there is no such device.
        MissingExtra: if transformers is not installed.
        ModelError: if the weights cannot be loaded, or are of another kind of model.
    """

    name: Final = "grounding"
    growth: Final = 1.0  # a box is found or it is not

    def __init__(self, weights: str = "google/owlv2-base-patch16-ensemble", device: str = "cpu"):
        on = device_of(device)
        try:
            from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor
        except ImportError as error:
            raise MissingExtra("transformers", "clipseg") from error
        self._processor, self._model = hub.load(
            "detector",
            weights,
            "words' folder",
            AutoProcessor.from_pretrained,
            AutoModelForZeroShotObjectDetection.from_pretrained,
        )
        kind = self._model.config.model_type
        if kind not in FAMILIES:
            raise ModelError(f"{weights}: expected one of {', '.join(FAMILIES)}, got {kind}")
        self._model.to(on)
        self._family = FAMILIES[kind]
        self.tau: Final = self._family.tau

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterator[NDArray[np.float32]]:
        """Maps in [0, 1]: (H, W) float32 each; image: (H, W, 3) uint8 RGB; phrases: any."""
        height, width = image.shape[:2]
        picture = Image.fromarray(image)
        if min(height, width) < 3:  # the processors would take so short an axis for the channels
            picture = picture.resize((max(width, 3), max(height, 3)))
        side = max(height, width)
        scale = (side, side) if self._family.square else (width, height)
        for scores, boxes in self._asked(picture, phrases):
            plane = np.zeros((height, width), np.float32)
            for i in scores.argsort()[(scores < LEAST).sum() :].tolist():  # the best comes last
                x1, y1, x2, y2 = _corners(boxes[i], scale)
                plane[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = scores[i]
            yield plane

    def _asked(
        self, picture: Image.Image, phrases: Sequence[str]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """For each phrase the scores (N,) and boxes (N, 4), as centre and size in [0, 1]."""
        if self._family.queries:
            output = self._run(picture, [list(phrases)])
            for scores in output.logits[0].float().sigmoid().T:
                yield scores.cpu(), output.pred_boxes[0].cpu()
            return
        for phrase in phrases:  # phrases in one text would influence each other's scores
            output = self._run(picture, phrase.lower().replace(".", " ") + ".")
            scores = output.logits[0].float().sigmoid().amax(1)
            yield scores.cpu(), output.pred_boxes[0].cpu()

    @torch.inference_mode()
    def _run(self, picture: Image.Image, text: Any) -> Any:
        inputs = self._processor(
            text=text,
            images=picture,
            truncation=True,
            max_length=getattr(self._model.config, "max_text_len", None),  # None: the tokenizer's
            padding=True,
            return_tensors="pt",
        ).to(self._model.device)
        return self._model(**inputs)


def _corners(box: Tensor, scale: tuple[int, int]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 in pixels, half-open, from centre and size as shares of `scale`."""
    x, y, w, h = box.tolist()
    return (
        round((x - w / 2) * scale[0]),
        round((y - h / 2) * scale[1]),
        round((x + w / 2) * scale[0]),
        round((y + h / 2) * scale[1]),
    )
