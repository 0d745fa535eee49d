"""What is kept of a picture: nothing is measured twice.

The file is JSON, `to_json` and `from_json` alone know its keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm.dataset import DataSet
from vcm.evaluate.rated import Rated
from vcm.scale.sources import File, Source
from vcm.scale.tars import Member
from vcm.vision.base import Objects

Json = dict[str, Any]
OWN: Final = ("bytes", "output", "clipped")  # of a row, beside its scores


class Confusion(NamedTuple):
    """What a segmenter makes of a picture.

    Attributes:
        triples: (n, 3) int64: true class, seen class, pixels; pairs without a pixel are left out.
    """

    triples: NDArray[np.int64]


Seen = Objects | Confusion


@dataclass(frozen=True)
class AtSetting:
    """A picture by one codec at one setting.

    Attributes:
        bytes: of the file.
        output: what the task model makes of the decoded picture.
        scores: of the decoded picture, by metric; those that it has.
        clipped: see `RatedCodec`.
    """

    bytes: int
    output: Seen
    scores: dict[str, float]
    clipped: float = 0.0


@dataclass(frozen=True)
class ByCodec:
    """A picture by one codec.

    Attributes:
        key: of the codec, see `Rated`.
        settings: by the setting as a text, "%g".
        error: why they are not whole, or "".
    """

    key: str
    settings: dict[str, AtSetting] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Record:
    """All that was measured on a picture.

    Attributes:
        key: of the plan.
        name: of the picture.
        stamp: of its files, see `stamp`.
        height, width: in pixels.
        said: what is odd about it.
        roi_share: of its pixels that are ROI, in [0, 1].
        roi_source: what gave the ROI.
        original: what the task model makes of the picture as it is.
        codecs: by their texts.
    """

    key: str
    name: str
    stamp: str
    height: int
    width: int
    said: list[str]
    roi_share: float
    roi_source: str
    original: Seen
    codecs: dict[str, ByCodec] = field(default_factory=dict)

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def is_done(self, text: str, codec: Rated) -> bool:
        """Whether it holds what this codec would give; what failed is tried again."""
        rows = self.codecs.get(text)
        settings = [f"{s:g}" for s in codec.settings]
        return rows is not None and rows.key == codec.key and list(rows.settings) == settings


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


def complete(
    records: Mapping[str, Record], codecs: Mapping[str, Rated]
) -> tuple[list[Record], dict[str, str]]:
    """Records in which every codec succeeded, and why the others are left out."""
    whole, failed = [], {}
    for name, record in records.items():
        reasons = [_missing(record, text, codec) for text, codec in codecs.items()]
        if any(reasons):
            failed[name] = "; ".join(filter(None, reasons))
        else:
            whole.append(record)
    return whole, failed


def _missing(record: Record, text: str, codec: Rated) -> str:
    """Why the rows of a codec do not count, "" if they do."""
    rows = record.codecs.get(text)
    error = rows.error if rows else ""
    return error or ("" if record.is_done(text, codec) else f"{text}: not measured")


def to_json(record: Record) -> Json:
    """A record as its file has it."""
    codecs = {text: _rows_to_json(rows) for text, rows in record.codecs.items()}
    return vars(record) | {"original": packed(record.original), "codecs": codecs}


def from_json(known: Mapping[str, Any]) -> Record:
    """The record of a file.

    Raises:
        KeyError, TypeError, ValueError: if it is none.
    """
    codecs = {text: _rows_from_json(rows) for text, rows in known["codecs"].items()}
    return Record(**{**known, "original": unpacked(known["original"]), "codecs": codecs})


def _rows_to_json(rows: ByCodec) -> Json:
    settings = {
        setting: {"bytes": row.bytes, "output": packed(row.output)}
        | row.scores
        | ({"clipped": row.clipped} if row.clipped else {})
        for setting, row in rows.settings.items()
    }
    return {"key": rows.key, "settings": settings} | ({"error": rows.error} if rows.error else {})


def _rows_from_json(rows: Json) -> ByCodec:
    settings = {
        setting: AtSetting(
            row["bytes"],
            unpacked(row["output"]),
            {k: v for k, v in row.items() if k not in OWN},
            row.get("clipped", 0.0),
        )
        for setting, row in rows["settings"].items()
    }
    return ByCodec(rows["key"], settings, rows.get("error", ""))


def packed(seen: Seen) -> Json:
    """What was seen, as JSON has it; a thousandth of a pixel is exact enough."""
    if isinstance(seen, Confusion):
        return {"confusion": seen.triples.tolist()}
    record: Json = {
        "boxes": [[round(v, 3) for v in box] for box in seen.boxes.tolist()],
        "scores": [round(v, 6) for v in seen.scores.tolist()],
        "labels": seen.labels.tolist(),
    }
    return record | ({} if seen.masks is None else {"masks": seen.masks})


def unpacked(known: Json) -> Seen:
    """What was seen, of JSON."""
    if "confusion" in known:
        return Confusion(np.array(known["confusion"], np.int64).reshape(-1, 3))
    return Objects(
        np.array(known["boxes"], np.float32).reshape(-1, 4),
        np.array(known["scores"], np.float32),
        np.array(known["labels"], np.int64),
        known.get("masks"),
    )
