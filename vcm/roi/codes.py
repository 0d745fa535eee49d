"""QR codes and barcodes, by OpenCV's own detectors."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.errors import UnknownWord
from vcm.roi.outlines import Floats, Image, fitted, painted

LONG_SIDE: Final = 2_000  # of the picture that is searched: bounds the time
LARGER: Final = 2.0  # small pictures are enlarged by at most this factor
UNREAD: Final = 0.6  # score of barcodes that are detected but not read, as most small ones are
MARGINS: Final = {"qr code": 0.15, "barcode": 0.3}  # outlines of barcodes can be too low by a third
Found = tuple[Floats, Floats]  # corners (N, 4, 2) in pixels, scores (N,)


class Codes:
    """Similarity = 1 on a code and a margin around it; less for barcodes that cannot be read.

    Its phrases are the keys of `FINDERS`.
    """

    name: Final = "codes"
    tau: Final = 0.5
    growth: Final = 1.0  # a code is found or it is not

    def similarity(self, image: NDArray[np.uint8], phrases: Sequence[str]) -> Iterator[Floats]:
        """A map for each phrase: (H, W) float32 in [0, 1]; image: (H, W, 3) uint8 RGB.

        Raises:
            UnknownWord: if a phrase is not a key of `FINDERS`.
        """
        for phrase in phrases:
            if phrase not in FINDERS:
                raise UnknownWord(f"codes: expected one of {', '.join(FINDERS)}, got {phrase!r}")
        seen, scale = fitted(image, min(LARGER, LONG_SIDE / max(image.shape)))

        def plane(phrase: str) -> Floats:
            corners, scores = FINDERS[phrase](seen)
            return painted(image.shape[:2], corners / scale, scores, MARGINS[phrase])

        return (plane(phrase) for phrase in phrases)


def _qr_codes(image: Image) -> Found:
    """By the ArUco-based detector: OpenCV's older one misses codes that are turned or blurred."""
    _, corners = cv2.QRCodeDetectorAruco().detectMulti(image)
    found = _many(corners)
    return found, np.ones(len(found), np.float32)


def _barcodes(image: Image) -> Found:
    _, texts, corners, _ = cv2.barcode.BarcodeDetector().detectAndDecodeMulti(image)
    return _many(corners), np.array([1.0 if text else UNREAD for text in texts], np.float32)


def _many(corners: Any) -> Floats:
    """(N, 4, 2), with N = 0 if nothing was found."""
    return np.array([] if corners is None else corners, np.float32).reshape(-1, 4, 2)


FINDERS: Final[dict[str, Callable[[Image], Found]]] = {"qr code": _qr_codes, "barcode": _barcodes}
