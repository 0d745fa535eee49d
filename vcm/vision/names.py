"""Names of classes in COCO's spelling: results compare by name, so one thing has one name."""

from typing import Final

COCO: Final = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
BACKGROUND: Final = "background"

# By their letters alone, as people and tools write them: "Person", "traffic_light", "diningtable".
_BY_LETTERS: Final = {name.replace(" ", ""): name for name in (*COCO, BACKGROUND)} | {
    "aeroplane": "airplane",  # VOC and Darknet
    "motorbike": "motorcycle",
    "sofa": "couch",
    "tvmonitor": "tv",
}


def coco_name(name: str) -> str:
    """The name as COCO spells it, whatever its case, spaces, hyphens and underscores.

    A name that COCO has not stays as it is.
    """
    return _BY_LETTERS.get(letters(name), name)


def letters(name: str) -> str:
    """What is left of a name without case, spaces, hyphens and underscores."""
    return "".join(c for c in name.casefold() if c not in "_-" and not c.isspace())
