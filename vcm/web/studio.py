"""What the page shows of one photo: coded for its words; evenly, in as many bytes if possible."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np

from vcm import container, draw, pipeline
from vcm.codec.api import Codec
from vcm.errors import SpecError
from vcm.metrics.distortion import psnr
from vcm.models import load_model
from vcm.roi import DETAILED, chosen_backend
from vcm.roi.acquire import acquire
from vcm.roi.mask import NOTHING, RoiMask
from vcm.roi.text import parse
from vcm.web import changes
from vcm.web.pictures import Image, bounded, opened

Progress = Callable[[float, str], None]  # is told a share in [0, 1] and what is being done
BRIGHT: Final = 99.5  # percentile of the bits of a square that the heat map shows brightest


@dataclass(frozen=True)
class Choice:
    """What a person sets on the page.

    Attributes:
        tau: in (0, 1).
        quality: 0 to 100, or
        size: bytes that the file should have.
        closely: whether the network looks twice, see `vcm.roi.embedded`.
    """

    words: str
    sigma: float
    tau: float
    quality: float
    size: int | None = None
    closely: bool = False


class Rendition(NamedTuple):
    """A file, and the picture in it.

    Attributes:
        numbers: label, bytes, bits per pixel, PSNR of the ROI, background and whole in dB.
    """

    data: bytes
    picture: Image
    numbers: tuple[str, int, float, float, float, float]


class Comparison(NamedTuple):
    """Everything that the page shows of one photo; pictures are (H, W, 3) uint8 RGB.

    Attributes:
        notes: sentences for people.
        seen: by the task model, the original and the decoded picture.
        times: bytes of `even`, those of `roi` being 1; one decimal.
    """

    outlined: Image
    roi: Rendition
    even: Rendition
    heat: Image
    notes: list[str]
    seen: tuple[Image, Image]
    times: float


class Studio:
    """The models of the page, loaded once; its methods may be called from several threads.

    Args:
        weights: of the codec.
        model: task model, as for `vcm eval --model`.
        roi_backend, roi_weights: what turns words into a mask, as for `vcm encode`.
        device: of all networks, as `vcm.device.device_of` takes it.

    Raises:
        VcmError: if a model cannot be loaded or run on such a device, or the weights are of a
            published codec.
    """

    def __init__(
        self,
        weights: str = "base",
        model: str = "embedded",
        roi_backend: str = "embedded",
        roi_weights: str | None = None,
        device: str = "cpu",
    ):
        self.weights: Final = weights
        self.model: Final = model
        self.roi: Final = (roi_backend, roi_weights)
        self.device: Final = device
        self.codec: Final = Codec.load(weights, device=device)
        if not self.codec.any_rate:
            raise SpecError(
                f"{weights}: a published model has one rate, and its files do not record where the "
                "bits went; the page needs a model of ours, such as base",
                hint="own weights",
            )
        look = chosen_backend(*self.roi, detail=1, device=device)
        self.looks_twice: Final = roi_backend in DETAILED
        closely = look
        if self.looks_twice:
            closely = chosen_backend(*self.roi, detail=2, device=device)
        self._looks: Final = look, closely
        self.tau: Final = look.tau
        self._model: Final = load_model(model, device)
        self._turn: Final = threading.Lock()  # an interpreter or a user's class serves one thread

    def compared(self, path: str | Path, choice: Choice, progress: Progress) -> Comparison:
        """A photo coded as chosen, beside itself coded evenly, in as many bytes if possible.

        Raises:
            ImageError: if it cannot be read, or is too large for the page.
            SpecError: if the words or a number are not what they should be.
        """
        progress(0.0, "looking for what matters")
        picture = opened(path)
        look = self._looks[choice.closely]
        words = parse(choice.words)
        with self._turn:
            mask = acquire(picture, words, look, sigma=choice.sigma, tau=choice.tau)
        progress(0.2, "coding for the words")
        roi = self._coded("for the words", picture, mask, choice.quality, choice.size)
        where, most = self._heat(picture, roi.data)
        progress(0.4, "coding evenly in as many bytes")
        even = self._evenly(picture, mask, len(roi.data))
        times = round(len(even.data) / len(roi.data), 1)
        progress(0.7, "showing both pictures to the model")
        with self._turn:
            seen, sentence = changes.shown(self._model, picture, roi.picture)
        notes = [_found(mask), sentence, f"Red in the heat map: {most:.1f} bits per pixel."]
        if times > 1:
            notes.append(
                f"Coded evenly, the photo cannot be that small: it takes {times:g} times the bytes."
            )
        return Comparison(draw.outlined(picture, mask.roi), roi, even, where, notes, seen, times)

    def opened_file(self, data: bytes) -> tuple[Image, dict[str, Any]]:
        """The picture in a .vcm file, and what the file says about itself.

        Raises:
            BitstreamError, ModelError: if it is damaged, foreign or of other weights.
            ImageError: if the picture is too large for the page.
        """
        described = container.describe(data)
        bounded(described["height"] * described["width"], "`vcm decode`")
        return pipeline.decode(data, self.codec), described

    def _evenly(self, picture: Image, mask: RoiMask, size: int) -> Rendition:
        """In this many bytes, or in as few as possible."""
        even = RoiMask(mask.roi, 1.0, mask.source)
        try:
            return self._coded("evenly", picture, even, 0, size)
        except SpecError:  # the lowest quality is larger than a file that starves the background
            return self._coded("evenly, as small as it gets", picture, even, 0, None)

    def _coded(
        self, label: str, picture: Image, mask: RoiMask, quality: float, size: int | None
    ) -> Rendition:
        rate: dict[str, Any] = {"quality": quality} if size is None else {"size": size}
        data = pipeline.encode(picture, mask, self.codec, **rate)
        decoded = pipeline.decode(data, self.codec)
        bpp = 8 * len(data) / mask.roi.size
        inside, outside, whole = (psnr(picture, decoded, w) for w in (mask.roi, ~mask.roi, None))
        return Rendition(data, decoded, (label, len(data), bpp, inside, outside, whole))

    def _heat(self, picture: Image, data: bytes) -> tuple[Image, float]:
        """Where the bits went, drawn; and the bits per pixel of what is brightest."""
        bits = pipeline.bits_at(data, self.codec) / 16**2  # per pixel of each square
        most = max(float(np.percentile(bits, BRIGHT)), 1e-6)
        height, width = picture.shape[:2]
        grid = np.repeat(np.repeat(bits / most, 16, 0), 16, 1)[:height, :width]
        smooth = cv2.GaussianBlur(grid, (0, 0), 6).astype(np.float32)
        return draw.heat(picture, smooth), most


def _found(mask: RoiMask) -> str:
    if NOTHING in mask.source:
        return "**The words match nothing here**, so the photo is coded evenly. Try a lower tau."
    return f"The region covers {100 * mask.share:.1f} % of the photo: {mask.source}."
