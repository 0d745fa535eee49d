"""What a task model no longer sees, or sees anew, in a decoded picture."""

import numpy as np
import pytest

from vcm.vision.base import Objects
from vcm.web import changes

NAMES = ("background", "cat", "dog")
RED, BLUE, YELLOW = ([*colour] for colour in (changes.RED, changes.BLUE, (255, 210, 0)))


def _objects(*found):
    """Objects of (box, score, label), most confident first."""
    boxes, scores, labels = zip(*found, strict=True) if found else ((), (), ())
    return Objects(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
    )


LEFT, MIDDLE, RIGHT = (10, 10, 40, 40), (12, 10, 42, 40), (60, 10, 90, 40)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], ([], [], [])),
        ([(LEFT, 0.9, 1)], [], ([], [0], [])),
        ([], [(LEFT, 0.9, 1)], ([], [], [0])),
        ([(LEFT, 0.9, 1)], [(MIDDLE, 0.3, 1)], ([0], [], [])),
        ([(LEFT, 0.9, 1)], [(RIGHT, 0.9, 1)], ([], [0], [0])),
        ([(LEFT, 0.9, 1)], [(LEFT, 0.9, 2)], ([], [0], [0])),  # another class is another object
        # one found object stands for one of two
        ([(LEFT, 0.9, 1), (MIDDLE, 0.8, 1)], [(LEFT, 0.9, 1)], ([0], [1], [])),
        # the nearer of two is taken, and the other one is new
        ([(LEFT, 0.9, 1)], [(MIDDLE, 0.9, 1), (LEFT, 0.5, 1)], ([0], [], [0])),
    ],
)
def test_objects_pair_by_class_and_place(before, after, expected):
    assert changes.changes(_objects(*before), _objects(*after)) == expected


class Bright:
    """A detector whose objects are the bright squares that it was told of; a toy, not a mock."""

    kind, names = "boxes", NAMES

    def detect(self, image):
        seen = [b for b in (LEFT, RIGHT) if image[b[1] : b[3], b[0] : b[2]].mean() > 100]
        return _objects(*((b, 0.9, 1 if b == LEFT else 2) for b in seen))


def _picture(*boxes):
    picture = np.zeros((60, 100, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        picture[y1:y2, x1:x2] = 200
    return picture


def test_lost_objects_are_red_and_new_ones_blue_on_the_decoded_picture():
    (first, second), sentence = changes.shown(Bright(), _picture(LEFT), _picture(RIGHT))
    assert first[40, 30].tolist() == YELLOW  # the lower edge of the box
    assert second[40, 30].tolist() == RED and second[40, 80].tolist() == BLUE
    assert "0 of 1 objects" in sentence
    assert "lost: cat (0.90); new: dog (0.90)" in sentence


def test_what_is_found_again_is_neither():
    (_, second), sentence = changes.shown(Bright(), _picture(LEFT), _picture(LEFT))
    assert second[40, 30].tolist() == YELLOW
    assert "1 of 1 objects" in sentence and "lost: nothing; new: nothing" in sentence


def test_nothing_at_all_is_said():
    _, sentence = changes.shown(Bright(), _picture(), _picture())
    assert sentence.startswith("The model finds nothing")


class Level:
    """A segmenter: dark is background, grey a cat, bright a dog."""

    kind, names = "semantic", NAMES

    def segment(self, image):
        return (image[..., 0] // 100).astype(np.uint8)


def test_classes_that_vanish_or_appear_are_named_and_specks_are_not():
    before, after = np.zeros((2, 100, 100, 3), np.uint8)
    before[:50], after[50:] = 100, 200
    after[0, :5] = 100  # five pixels of a cat
    (first, second), sentence = changes.shown(Level(), before, after)
    assert first.shape == second.shape == before.shape
    assert "lost: cat; new: dog" in sentence
    assert "0.1 % of the pixels" in sentence  # the specks
