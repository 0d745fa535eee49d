"""What every task model does: look at a picture and say what it sees."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vcm.errors import MissingExtra

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Rle = dict[str, Any]  # a mask as pycocotools codes it: "size" [H, W] and "counts", a str
Kind = Literal["boxes", "instances", "semantic"]

CONFIDENCE: Final = 0.001  # what is less sure is not reported; AP needs the unsure ones too
MOST: Final = 300  # objects of a picture
MASKED: Final = 100  # the same with masks, as is usual: most of the time and memory goes there


class Objects(NamedTuple):
    """The objects that a detector finds, most confident first.

    Attributes:
        boxes: (N, 4) float32, x1, y1, x2, y2 in pixels of the picture, half-open.
        scores: (N,) float32, confidence in [0, 1].
        labels: (N,) int64, index of the class in the model's `names`.
        masks: N masks of the picture's size, or None from a detector of boxes alone.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: list[Rle] | None = None

    def above(self, confidence: float) -> "Objects":
        """Those of at least that confidence."""
        return self._kept(self.scores >= confidence)

    def of(self, labels: Sequence[int]) -> "Objects":
        """Those of some classes."""
        return self._kept(np.isin(self.labels, labels))

    def _kept(self, keep: NDArray[np.bool_]) -> "Objects":
        masks = self.masks and [m for m, k in zip(self.masks, keep, strict=True) if k]
        return Objects(self.boxes[keep], self.scores[keep], self.labels[keep], masks)


class TaskModel(Protocol):
    """A network whose work on decoded pictures is measured.

    Attributes:
        kind: "boxes" and "instances" have `detect`, the latter with masks; "semantic" has
            `segment`.
        names: of its classes, in the order of its labels; COCO's or VOC's where it knows these.
            Of a semantic model the first one is the background.
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def names(self) -> tuple[str, ...]: ...


class Detector(TaskModel, Protocol):
    """Finds objects."""

    def detect(self, image: Image) -> Objects:
        """Objects of confidence 0.001 or more; image: (H, W, 3) uint8 RGB.

        At most 300, or 100 with masks.
        """
        ...


class Segmenter(TaskModel, Protocol):
    """Names each pixel."""

    def segment(self, image: Image) -> NDArray[np.uint8]:
        """Index of each pixel's name: (H, W) uint8; image: (H, W, 3) uint8 RGB."""
        ...


def sorted_objects(
    boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any], masks: list[Rle] | None = None
) -> Objects:
    """Objects in their order and types, without the unsure ones and at most 300 of them."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= CONFIDENCE][:MOST]
    return Objects(
        boxes.reshape(-1, 4)[order].astype(np.float32),
        scores[order].astype(np.float32),
        labels[order].astype(np.int64),
        None if masks is None else [masks[i] for i in order.tolist()],
    )


def rle(mask: NDArray[np.bool_]) -> Rle:
    """A mask, (H, W) bool, run-length coded."""
    coded = _coder().encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(coded["size"]), "counts": coded["counts"].decode("ascii")}


def unpacked(coded: Rle) -> NDArray[np.bool_]:
    """The mask, (H, W) bool, of its run lengths."""
    counts = coded["counts"].encode("ascii")
    return _coder().decode({"size": coded["size"], "counts": counts}).astype(np.bool_)  # type: ignore[no-any-return]


def _coder() -> Any:
    """COCO's run-length coder."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise MissingExtra("pycocotools", "eval") from error
    return mask
