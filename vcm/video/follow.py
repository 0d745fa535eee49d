"""Masks that follow what words name: looked for now and then, carried along in between."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm.errors import SpecError
from vcm.roi.acquire import Found, checked, dilated, look, said, select, unwarned
from vcm.roi.base import Backend
from vcm.roi.mask import OnEmpty, RoiMask
from vcm.roi.text import words_of
from vcm.task import TaskSpec
from vcm.video.clip import Frame, Image
from vcm.video.flow import Flow, Motion, carried

Roi = NDArray[np.bool_]  # (H, W)
STAYS: Final = 0.6  # similarities of so many tau keep inside what was inside
SLIVER: Final = 0.4  # of a thing's thickness: what is left and thinner is where its outline was


@dataclass(frozen=True)
class Following:
    """How masks follow.

    Attributes:
        every: words are looked for in each n-th frame.
        hold: how often in a row an object may be missed before it is dropped.
        flow: carry masks by optical flow; else they stay where they were.

    Raises:
        SpecError: if a number is out of range.
    """

    every: int = 5
    hold: int = 2
    flow: bool = True

    def __post_init__(self) -> None:
        if self.every < 1 or self.hold < 0:
            raise SpecError(f"expected to look in every frame or less often, got {self}")


class Masked(NamedTuple):
    """A frame and what matters in it."""

    frame: Frame
    mask: RoiMask


class Follower:
    """The mask of frames that come one after another.

    A pixel is inside while it has lives: a look that finds it gives `hold` + 1, one that does not
    takes one. So an object that is missed stays for a while. What is inside needs less similarity
    to stay than to come in, and what is left over of an outline that moved is dropped at once.

    Args:
        find: what words show in a picture.
        tau, low: see `vcm.roi.acquire.select`.
    """

    def __init__(self, find: Callable[[Image], Found], tau: float, low: float, way: Following):
        self._find, self._tau, self._low, self._way = find, tau, low, way
        self._flow, self._since = Flow(), 0
        self._state: NDArray[np.float32] | None = None  # (H, W, 2): lives, and what is excluded

    def __call__(self, image: Image) -> tuple[Roi, Roi]:
        """What is inside, and what words exclude: (H, W) bool each; image: (H, W, 3) uint8 RGB."""
        state = self._moved(self._flow(image))
        self._since += 1
        if state is None or self._since >= self._way.every:
            state, self._since = self._seen(self._find(image), state), 0
        self._state = state
        excluded = state[..., 1] > 0.5
        return (state[..., 0] > 0.5) & ~excluded, excluded

    def _moved(self, motion: Motion | None) -> NDArray[np.float32] | None:
        """The state where its things are now; None if nothing is known of this scene."""
        if self._state is None or motion is None or motion.is_cut:
            return None
        return carried(self._state, motion.places) if self._way.flow else self._state

    def _seen(self, found: Found, state: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """The state after a look."""
        fresh = select(found.similarity, self._tau, self._low)
        lives = np.zeros(fresh.shape, np.float32)
        if state is not None:
            inside = state[..., 0] > 0.5
            fresh = fresh | (inside & (found.similarity >= STAYS * self._tau))
            missed = _missed(inside, inside & ~fresh)
            lives[missed] = np.round(state[..., 0][missed]) - 1
        lives[fresh] = self._way.hold + 1
        lives[found.excluded] = 0
        return np.stack([lives, found.excluded.astype(np.float32)], -1)


def _missed(inside: Roi, left: Roi) -> Roi:
    """Of what was inside and is not found again, the parts that are things and no mere outlines."""
    things, thickness = _thickness(inside)
    parts, own = _thickness(left)
    of_thing = thickness[things]  # (H, W), of the thing that each pixel belongs to
    missed: Roi = left & (own[parts] >= SLIVER * of_thing)
    return missed


def _thickness(roi: Roi) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The number of each pixel's connected part, (H, W), and the radius of each part, 0 outside."""
    count, found = cv2.connectedComponents(roi.view(np.uint8))
    parts = found.astype(np.int32)
    distance = cv2.distanceTransform(roi.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    radius = np.zeros(count, np.float32)
    np.maximum.at(radius, parts[roi], distance[roi])
    return parts, radius


def follow(
    frames: Iterable[Frame],
    task: TaskSpec,
    backend: Backend,
    way: Following,
    on_empty: OnEmpty = "whole",
) -> Iterator[Masked]:
    """TMA over time: every frame with the mask of what the task's words show in it.

    Args:
        on_empty: what becomes of a frame in which there is nothing, see `acquire`.

    Raises:
        UnknownWord: if the backend does not know a word.
        SpecError: if a number is out of range, a word has a value, or nothing is found and that is
            an error.

    Example:
        >>> clip, task = video.open("clip.mp4"), vcm.find_task("coco-person")
        >>> masked = list(follow(clip, task, vcm.load_backend("embedded"), Following(every=4)))
        >>> [mask.roi.shape for frame, mask in masked]
        [(180, 320), (180, 320), (180, 320), (180, 320)]
    """
    if task.values:
        raise SpecError(f"clips: all words matter equally; write {', '.join(task.phrases)!r}")
    words = words_of(task)
    tau = checked(task.tau, task.dilation, backend)
    follower = Follower(
        lambda image: look(image, words, backend, tau), tau, tau * backend.growth, way
    )
    for frame in frames:
        inside, excluded = follower(frame.image)
        roi = dilated(inside, task.dilation) & ~excluded
        with unwarned():  # whoever takes the frames counts those that show nothing
            mask = said(roi, words, backend, sigma=task.sigma, tau=tau, on_empty=on_empty)
        yield Masked(frame, mask)
