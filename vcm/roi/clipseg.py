"""CLIPSeg from transformers: any words, once its weights are downloaded."""

from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from vcm.device import device_of
from vcm.errors import MissingExtra
from vcm.vision import hub

TEMPLATE: Final = "a photo of a {}"
TOGETHER: Final = 8  # phrases in one pass, each with its own copy of the picture


class ClipSeg:
    """Similarity = sigmoid of CLIPSeg's logit.

    Source: Lueddecke and Ecker 2022, "Image segmentation using text and image prompts",
    arXiv:2112.10003.

    Args:
        weights: hub id or local folder.
        device: as `vcm.device.device_of` takes it.

    Raises:
        SpecError: if there is no such device.
        MissingExtra: if transformers is not installed.
        ModelError: if the weights cannot be loaded, for example without a network connection.
    """

    name: Final = "clipseg"
    tau: Final = 0.4
    growth: Final = 1.0

    def __init__(self, weights: str = "CIDAS/clipseg-rd64-refined", device: str = "cpu"):
        on = device_of(device)
        try:
            from transformers import AutoProcessor, CLIPSegForImageSegmentation
        except ImportError as error:
            raise MissingExtra("transformers", "clipseg") from error
        self._processor, self._model = hub.load(
            "CLIPSeg",
            weights,
            "words' folder",
            AutoProcessor.from_pretrained,
            CLIPSegForImageSegmentation.from_pretrained,
        )
        self._model.to(on)

    def similarity(
        self, image: NDArray[np.uint8], phrases: Sequence[str]
    ) -> Iterator[NDArray[np.float32]]:
        """Maps in [0, 1]: (H, W) float32 each; image: (H, W, 3) uint8 RGB; phrases: any."""
        size = (image.shape[1], image.shape[0])
        for first in range(0, len(phrases), TOGETHER):
            for plane in self._similarity(image, phrases[first : first + TOGETHER]):
                yield cv2.resize(plane, size)

    @torch.inference_mode()
    def _similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> NDArray[np.float32]:
        """Maps in [0, 1] at the network's size: (P, h, w) float32."""
        text = [TEMPLATE.format(phrase) for phrase in phrases]
        # as a Pillow image, because the processor guesses which axis of an array is the channels
        inputs = self._processor(
            text=text,
            images=[Image.fromarray(image)],
            padding=True,
            truncation=True,
            return_tensors="pt",
        ).to(self._model.device)
        pixels = inputs.pop("pixel_values")  # (1, 3, h, w)
        logits = self._model(pixel_values=pixels.expand(len(text), -1, -1, -1), **inputs).logits
        maps = logits.reshape(len(text), *pixels.shape[-2:]).sigmoid().float()
        result: NDArray[np.float32] = maps.cpu().numpy()
        return result
