"""What is kept of a picture, a dictionary that JSON can hold: nothing is measured twice."""

from typing import Any, Final

import numpy as np

from vcm.dataset import DataSet
from vcm.evaluate.rated import RatedCodec
from vcm.scale.sources import File, Source
from vcm.scale.tars import Member
from vcm.vision.base import Objects

Record = dict[str, Any]
ARRAYS: Final[dict[str, type[np.generic]]] = {
    "boxes": np.float32, "scores": np.float32, "labels": np.int32, "confusion": np.int64
}  # fmt: skip


def stamp(photo: Source, data: DataSet) -> str:
    """Sizes and times of a picture's files: whether they are still those that were measured.

    Of pictures of the hub nothing is known but their names.
    """
    if isinstance(photo, Member):
        return f"{photo.shard.stat().st_mtime_ns} {photo.offset} {photo.size}"
    if not isinstance(photo, File):
        return ""
    mask = data.mask_of(photo)
    stats = [path.stat() for path in (photo.path, mask) if path and path.is_file()]
    return " ".join(f"{s.st_size} {s.st_mtime_ns}" for s in stats)


def is_done(record: Record, text: str, codec: RatedCodec) -> bool:
    """Whether the record holds what this codec would give; what failed is tried again."""
    rows = record["codecs"].get(text, {})
    settings = [f"{s:g}" for s in codec.settings]
    return rows.get("key") == codec.key and list(rows["settings"]) == settings


def packed(found: Objects) -> Record:
    """Objects as JSON has them; a thousandth of a pixel is exact enough."""
    record: Record = {
        "boxes": [[round(v, 3) for v in box] for box in found.boxes.tolist()],
        "scores": [round(v, 6) for v in found.scores.tolist()],
        "labels": found.labels.tolist(),
    }
    return record | ({} if found.masks is None else {"masks": found.masks})


def unpacked(record: Record) -> Objects:
    """Objects of a record."""
    return Objects(
        np.array(record["boxes"], np.float32).reshape(-1, 4),
        np.array(record["scores"], np.float32),
        np.array(record["labels"], np.int64),
        record.get("masks"),
    )


def lean(record: Record) -> Record:
    """The same record, its long lists as arrays: a seventh of the memory. JSON cannot hold it."""
    rows = (row for rows in record["codecs"].values() for row in rows["settings"].values())
    for output in (record["original"], *(row["output"] for row in rows)):
        output |= {k: np.array(output[k], kind) for k, kind in ARRAYS.items() if k in output}
    return record
