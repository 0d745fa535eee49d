"""Masks over time, on a scene whose truth is known: a red square over a textured ground."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vcm.errors import SpecError
from vcm.roi.acquire import Found
from vcm.video.flow import Flow
from vcm.video.follow import Follower, Following

Image = np.ndarray
H, W, SIDE, STEP = 192, 320, 80, 3


def texture(seed: int, height: int, width: int) -> Image:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 20, 140, cv2.NORM_MINMAX)


def scene(number: int, seed: int = 1) -> tuple[Image, np.ndarray]:
    """A frame, and where its square is: it moves STEP pixels a frame."""
    image = np.repeat(texture(seed, H, W)[..., None], 3, 2)
    roi = np.zeros((H, W), bool)
    left = 10 + STEP * number
    roi[30 : 30 + SIDE, left : left + SIDE] = True
    square = np.repeat(texture(2, SIDE, SIDE)[..., None], 3, 2)
    square[..., 0] += 100
    image[roi] = square.reshape(-1, 3)
    return image.astype(np.uint8), roi


def red(image: Image, strength: float = 0.9) -> Found:
    """What the word would find."""
    is_red = image[..., 0].astype(int) - image[..., 1] > 60
    return Found(
        {1.0: np.where(is_red, strength, 0).astype(np.float32)}, np.zeros(is_red.shape, bool)
    )


def nothing(image: Image) -> Found:
    return red(image, 0.0)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def followed(find: Callable[[Image], Found], way: Following, count: int = 15) -> list[float]:
    """IoU with the truth of each frame."""
    follower = Follower(find, 0.5, 0.5, way)
    scenes = [scene(i) for i in range(count)]
    return [iou(follower(image)[0], roi) for image, roi in scenes]


def test_flow_carries_what_moves_between_looks() -> None:
    looks: list[int] = []

    def find(image: Image) -> Found:
        looks.append(1)
        return red(image)

    carried = followed(find, Following(every=5))
    assert len(looks) == 3
    left = followed(red, Following(every=5, flow=False))
    assert min(carried) > 0.85 and np.mean(carried) > 0.9
    assert left[4] < 0.75 < 0.9 < carried[4] and left[5] > 0.95  # a look mends it


def missing(looks: set[int], strength: float = 0.0) -> Callable[[Image], Found]:
    """Finds the square but for some looks."""
    seen = iter(range(100))
    return lambda image: red(image, strength if next(seen) in looks else 0.9)


def test_an_object_that_is_missed_stays_for_a_while_and_then_goes() -> None:
    assert min(followed(missing({1, 2}), Following(every=2, hold=2), 8)) > 0.85
    gone = followed(missing({1, 2, 3}), Following(every=2, hold=2), 8)
    assert min(gone[:6]) > 0.85 and max(gone[6:]) == 0
    assert max(followed(missing({1}), Following(every=2, hold=0), 4)[2:]) == 0


def test_it_takes_less_to_stay_than_to_come() -> None:
    assert min(followed(missing(set(range(1, 9)), 0.35), Following(every=1, hold=0), 9)) > 0.85
    assert max(followed(missing(set(range(9)), 0.35), Following(every=1, hold=0), 9)) == 0


def test_of_two_things_that_touch_the_one_that_is_missed_stays() -> None:
    looks = iter(range(9))

    def find(image: Image) -> Found:
        similarity = red(image).similarity.copy()
        similarity[:, 50:] *= next(looks) % 2 == 0  # half of the square
        return Found({1.0: similarity}, np.zeros((H, W), bool))

    follower = Follower(find, 0.5, 0.5, Following(every=1, hold=1, flow=False))
    for _ in range(4):
        assert (follower(scene(0)[0])[0] == scene(0)[1]).all()


def test_what_an_outline_leaves_behind_is_dropped_at_once() -> None:
    """Without flow the old place of a square that moved by one pixel is a sliver."""
    follower = Follower(red, 0.5, 0.5, Following(every=1, hold=5, flow=False))
    image, roi = scene(0)
    follower(image)
    moved = np.roll(image, 1, 1)
    assert (follower(moved)[0] == np.roll(roi, 1, 1)).all()


def test_what_is_excluded_is_never_inside() -> None:
    def find(image: Image) -> Found:
        found = red(image)
        out = np.zeros((H, W), bool)
        out[: H // 2] = True
        return Found({1.0: np.where(out, 0, found.similarity)}, out)

    follower = Follower(find, 0.5, 0.5, Following(every=4))
    for number in range(8):
        inside, excluded = follower(scene(number)[0])
        assert excluded[: H // 2 - 5].all() and not excluded[H // 2 + 5 :].any()
        assert not (inside & excluded).any() and inside.any()


def test_a_cut_forgets() -> None:
    follower = Follower(missing({1}), 0.5, 0.5, Following(every=50, hold=9))
    assert follower(scene(0)[0])[0].any()
    other = 255 - np.rot90(scene(0, seed=5)[0], 2)
    assert not follower(np.ascontiguousarray(other))[0].any()


def test_flow_takes_frames_of_any_size_but_not_of_two() -> None:
    flow = Flow()
    assert flow(scene(0)[0]) is None
    motion = flow(scene(1)[0])
    assert motion is not None and motion.places.shape == (H, W, 2) and not motion.is_cut
    shift = np.arange(W) - motion.places[60:80, :, 0]
    assert abs(np.median(shift[:, 30:80]) - STEP) < 0.5 and abs(np.median(shift[:, 120:])) < 0.5
    assert flow(np.zeros((10, 10, 3), np.uint8)) is None


@pytest.mark.parametrize("values", [(0, 1), (1, -1)])
def test_ways_that_are_none(values: tuple[int, int]) -> None:
    with pytest.raises(SpecError):
        Following(*values)
