"""Text on signs, screens, shirts and pages, by PP-OCR: what it can read counts as text."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vcm.errors import MissingExtra, ModelError
from vcm.ort import typed
from vcm.roi.outlines import Floats, fitted, painted

PACKAGE: Final = "rapidocr-onnxruntime"
SHORT_SIDE: Final = 736  # of the picture as the network sees it: small pictures are enlarged to it
LONG_SIDE: Final = 1_280  # at most: bounds time and memory
LEAST: Final = 0.2  # scores below this cannot matter for any sensible tau
MARGIN: Final = 0.15


class Writing:
    """Similarity = score of reading the line whose outline, with a margin, contains the pixel.

    Source: PP-OCRv4 in the package rapidocr-onnxruntime (Apache-2.0), Chinese and Latin letters;
    lines are found as in Liao et al. 2020, arXiv:1911.08947. A line must also be readable: the
    network that finds lines is sure of faces and food too.

    Raises:
        MissingExtra: if rapidocr-onnxruntime, or a package that it needs, is not installed.
        ModelError: if its networks cannot be read.
    """

    name: Final = "writing"
    tau: Final = 0.65
    growth: Final = 1.0  # a line is found or it is not

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            name = (error.name or PACKAGE).partition(".")[0].replace("_", "-")
            raise MissingExtra(name, "ocr") from error
        threads = torch.get_num_threads()
        try:
            self._read: Final = RapidOCR(
                text_score=LEAST, use_cls=False, intra_op_num_threads=threads
            )
        except Exception as error:  # its errors have no common base class
            again = f"pip install --force-reinstall --no-deps {PACKAGE}==1.4.4"
            raise ModelError(f"{PACKAGE} cannot be read; install it again: {again}") from error

    def similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> list[Floats]:
        """The map of text, for each phrase: (H, W) float32 in [0, 1].

        Args:
            image: (H, W, 3) uint8, RGB.
            phrases: ignored; text is always meant.
        """
        height, width = image.shape[:2]
        larger = max(1.0, SHORT_SIDE / min(height, width))
        seen, scale = fitted(image, min(larger, LONG_SIDE / max(height, width)))
        bgr = np.ascontiguousarray(seen[..., ::-1])  # rapidocr takes BGR
        with typed(PACKAGE):
            lines, _ = self._read(bgr)
        found = [(corners, score) for corners, _, score in lines or []]
        corners = np.array([c for c, _ in found], np.float32).reshape(-1, 4, 2)
        scores = np.array([s for _, s in found], np.float32)
        plane = painted((height, width), corners / scale, scores, MARGIN)
        return [plane] * len(phrases)
