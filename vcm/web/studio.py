"""What the page shows of one photo: coded for its words, and evenly in as many bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm import bitstream, draw, image, pipeline
from vcm.codec.codec import Codec
from vcm.errors import ImageError, SpecError
from vcm.metrics.distortion import psnr
from vcm.models import load_model
from vcm.roi import load_backend
from vcm.roi.acquire import NOTHING, acquire
from vcm.roi.mask import RoiMask
from vcm.roi.text import parse
from vcm.web import changes

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Progress = Callable[[float, str], None]  # is told a share in [0, 1] and what is being done
MAX_PIXELS: Final = 24_000_000  # what a page can show while others wait
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


class Coded(NamedTuple):
    """A file, and the picture in it.

    Attributes:
        numbers: label, bytes, bits per pixel, PSNR of the ROI, background and whole in dB.
    """

    data: bytes
    picture: Image
    numbers: tuple[str, int, float, float, float, float]


class Outcome(NamedTuple):
    """Everything that the page shows of one photo; pictures are (H, W, 3) uint8 RGB.

    Attributes:
        notes: sentences for people.
        seen: by the task model, the original and the decoded picture.
    """

    outlined: Image
    roi: Coded
    even: Coded
    heat: Image
    notes: list[str]
    seen: tuple[Image, Image]


class Studio:
    """The models of the page, loaded once; its methods may be called from several threads.

    Args:
        weights: of the codec.
        model: task model, as for `vcm eval --model`.

    Raises:
        VcmError: if a model cannot be loaded.
    """

    def __init__(self, weights: str = "base", model: str = "embedded"):
        self.weights: Final = weights
        self.model: Final = model
        self.codec: Final = Codec.load(weights)
        self._looks: Final = [load_backend("embedded", detail=d) for d in (1, 2)]
        self.tau: Final = self._looks[0].tau
        self._model: Final = load_model(model)

    def outcome(self, path: str | Path, choice: Choice, progress: Progress) -> Outcome:
        """A photo coded as chosen, beside itself coded evenly.

        Raises:
            ImageError: if it cannot be read, or is too large for the page.
            SpecError: if the words or a number are not what they should be.
        """
        progress(0.0, "looking for what matters")
        picture = opened(path)
        look = self._looks[choice.closely]
        words = parse(choice.words)
        mask = acquire(picture, words, look, sigma=choice.sigma, tau=choice.tau)
        progress(0.2, "coding for the words")
        roi = self._coded("for the words", picture, mask, choice.quality, choice.size)
        where, most = self._heat(picture, roi.data)
        progress(0.4, "coding evenly in as many bytes")
        even = self._evenly(picture, mask, len(roi.data))
        progress(0.7, "showing both pictures to the model")
        seen, sentence = changes.shown(self._model, picture, roi.picture)
        notes = [_found(mask), sentence, f"Red in the heat map: {most:.1f} bits per pixel."]
        return Outcome(draw.outlined(picture, mask.roi), roi, even, where, notes, seen)

    def opened_file(self, data: bytes) -> tuple[Image, dict[str, Any]]:
        """The picture in a .vcm file, and what the file says of itself.

        Raises:
            BitstreamError, ModelError: if it is damaged, foreign or of other weights.
            ImageError: if the picture is too large for the page.
        """
        described = bitstream.describe(data)
        _bounded(described["height"] * described["width"], "`vcm decode`")
        return pipeline.decode(data, self.codec), described

    def _evenly(self, picture: Image, mask: RoiMask, size: int) -> Coded:
        even = RoiMask(mask.roi, 1.0, mask.source)
        try:
            return self._coded("evenly", picture, even, 0, size)
        except SpecError:  # the lowest quality is larger than a file that starves the background
            return self._coded("evenly, as small as it gets", picture, even, 0, None)

    def _coded(
        self, label: str, picture: Image, mask: RoiMask, quality: float, size: int | None
    ) -> Coded:
        rate: dict[str, Any] = {"quality": quality} if size is None else {"size": size}
        data = pipeline.encode(picture, mask, self.codec, **rate)
        decoded = pipeline.decode(data, self.codec)
        bpp = 8 * len(data) / mask.roi.size
        inside, outside, whole = (psnr(picture, decoded, w) for w in (mask.roi, ~mask.roi, None))
        return Coded(data, decoded, (label, len(data), bpp, inside, outside, whole))

    def _heat(self, picture: Image, data: bytes) -> tuple[Image, float]:
        """Where the bits went, drawn; and the bits per pixel of what is brightest."""
        bits = pipeline.bits_at(data, self.codec) / 16**2  # per pixel of each square
        most = max(float(np.percentile(bits, BRIGHT)), 1e-6)
        height, width = picture.shape[:2]
        grid = np.repeat(np.repeat(bits / most, 16, 0), 16, 1)[:height, :width]
        smooth = cv2.GaussianBlur(grid, (0, 0), 6).astype(np.float32)
        return draw.heat(picture, smooth), most


def opened(path: str | Path) -> Image:
    """The photo in a file; raises ImageError, also if it is too large for the page."""
    try:
        picture = image.read(path)
    except ImageError as error:  # where uploads lie on this machine says nothing to a visitor
        raise ImageError(str(error).replace(f"{Path(path).parent}/", "")) from error
    _bounded(picture.size // 3, "`vcm encode`")
    return picture


def _bounded(pixels: int, command: str) -> None:
    if pixels > MAX_PIXELS:
        raise ImageError(
            f"the picture has {pixels / 1e6:.0f} megapixels, the page takes "
            f"{MAX_PIXELS / 1e6:.0f}; {command} takes more"
        )


def _found(mask: RoiMask) -> str:
    if NOTHING in mask.source:
        return "**The words match nothing here**, so the photo is coded evenly. Try a lower tau."
    return f"The region covers {100 * mask.share:.1f} % of the photo."
