"""TMA, text-controlled mask acquisition: words -> similarity -> tau -> mask."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.errors import SpecError
from vcm.roi.base import Backend, networks
from vcm.roi.mask import Area, OnEmpty, RoiMask, valued
from vcm.roi.text import Words

_log = logging.getLogger(__name__)
Similarity = NDArray[np.float32]  # (H, W)


class Found(NamedTuple):
    """What words find in a picture.

    Attributes:
        levels: for each mask value, the largest similarity with a phrase of that value: (H, W)
            float32; 0 where `excluded` is true.
        excluded: (H, W) bool, what the excluded phrases alone would select.
    """

    levels: dict[float, Similarity]
    excluded: NDArray[np.bool_]

    @property
    def similarity(self) -> Similarity:
        """The largest similarity with any phrase: (H, W) float32."""
        return reduce(np.maximum, self.levels.values())


@contextmanager
def unwarned() -> Iterator[None]:
    """Silences the warning about each picture that shows none of the words, for callers that count
    them."""
    logger = logging.getLogger("vcm.roi")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def acquire(
    image: NDArray[np.uint8],
    words: Words,
    backend: Backend,
    *,
    sigma: float,
    tau: float | None = None,
    dilation: int = 0,
    on_empty: OnEmpty = "whole",
    found: Found | None = None,
) -> RoiMask:
    """The mask of what the words name: the union of the phrases without what is excluded.

    Where phrases of different values overlap, the largest value counts; none is below sigma.

    Args:
        image: (H, W, 3) uint8, RGB.
        tau: threshold on the similarity in (0, 1); None: the backend's own.
        dilation: pixels by which the mask grows in every direction.
        on_empty: if nothing is found, "whole" codes the whole picture evenly, so that nothing is
            lost; "background" makes all of it background (both log a warning); "error" raises.
        found: the result of `look` with the same words, if there is one already.

    Raises:
        UnknownWord: if the backend does not know a word.
        SpecError: if a number is out of range, or nothing is found and `on_empty` is "error".

    Example:
        >>> photo = image.read("photo.jpg")
        >>> words = vcm.parse("person -tie")
        >>> roi = vcm.acquire(photo, words, vcm.load_backend("embedded"), sigma=0.1, dilation=8)
        >>> 0.2 < roi.share < 0.8
        True
    """
    tau = checked(tau, dilation, backend)
    found = found or look(image, words, backend, tau)
    roi = _area(found, tau, tau * backend.growth, dilation)
    return said(roi, words, backend, sigma=sigma, tau=tau, on_empty=on_empty)


def checked(tau: float | None, dilation: int, backend: Backend) -> float:
    """The threshold to use: `tau`, or the backend's own for None.

    Raises:
        SpecError: if a number is out of range.
    """
    tau = backend.tau if tau is None else tau
    if not 0 < tau < 1:
        raise SpecError(f"tau: expected a number over 0, under 1, got {tau}")
    if not 0 <= dilation <= 1024:
        raise SpecError(f"dilation: expected 0 to 1024 pixels, got {dilation}")
    return tau


def dilated(roi: NDArray[np.bool_], dilation: int) -> NDArray[np.bool_]:
    """The mask, (H, W) bool, grown by `dilation` pixels in every direction."""
    if not dilation or not roi.any():
        return roi
    # by distance, whose cost does not grow with the dilation
    outside = cv2.distanceTransform((~roi).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    grown: NDArray[np.bool_] = outside < math.hypot(dilation, 0.5)  # squares are integers
    return grown


def said(
    roi: Area,
    words: Words,
    backend: Backend,
    *,
    sigma: float,
    tau: float,
    on_empty: OnEmpty,
) -> RoiMask:
    """The mask of what words found, with mask values; its source names words and networks.

    Raises:
        SpecError: if nothing is found and `on_empty` is "error".
    """
    if low := [phrase for phrase, value in words.valued.items() if value < sigma]:
        _log.warning("%s: below sigma, so coded like the background", ", ".join(low))
    names = networks(backend, [*words.phrases, *words.exclude])
    by = f"({' + '.join(names)}, tau {tau:g})"
    empty = f"found nothing that matches {str(words)!r} {by}"
    if words.exclude:
        empty += ", or what is excluded covers all of it"
    return valued(roi, sigma, f"{words} {by}", on_empty, empty)


def _area(found: Found, tau: float, low: float, dilation: int) -> Area:
    """What was found, dilated: (H, W) bool if all of it has the value 1, else mask values."""
    inside = {
        value: dilated(select(similarity, tau, low), dilation) & ~found.excluded
        for value, similarity in found.levels.items()
    }  # neither growth nor dilation brings back what is excluded
    if inside.keys() == {1.0}:
        return inside[1.0]
    return reduce(np.maximum, [np.float32(value) * roi for value, roi in inside.items()])


def select(similarity: NDArray[np.float32], tau: float, low: float) -> NDArray[np.bool_]:
    """Where the similarity reaches tau, or reaches `low` and is connected to where it reaches tau.

    So a faint part belongs to what was found, and a faint thing alone is not found.
    Source: hysteresis as in Canny 1986. Deviation: TMA has one threshold, as with low = tau.

    Args:
        similarity: (H, W) float32.
    """
    sure = similarity >= tau
    if low >= tau or not sure.any():
        return sure
    _, parts = cv2.connectedComponents((similarity >= low).view(np.uint8))
    found = np.zeros(parts.max() + 1, np.bool_)
    found[parts[sure]] = True
    roi: NDArray[np.bool_] = found[parts]
    return roi


def look(
    image: NDArray[np.uint8], words: Words, backend: Backend, tau: float | None = None
) -> Found:
    """What the words find, before the threshold is applied.

    Args:
        tau: threshold for the excluded phrases; None: the backend's own.
    """
    tau = backend.tau if tau is None else tau
    maps = iter(backend.similarity(image, [*words.phrases, *words.exclude]))
    levels: dict[float, Similarity] = {}
    for value, plane in zip(words.valued.values(), maps, strict=False):  # excluded ones follow
        levels[value] = np.maximum(levels[value], plane) if value in levels else np.array(plane)
    excluded = np.zeros(next(iter(levels.values())).shape, np.bool_)
    for plane in maps:
        excluded |= select(plane, tau, tau * backend.growth)
    for wanted in levels.values():
        wanted[excluded] = 0
    return Found(levels, excluded)
