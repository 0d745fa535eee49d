"""Where the pictures of a COCO file lie, and where the file of a folder of pictures does."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vcm.errors import SpecError

# as we, roboflow, COCO and CVAT call them; the last ones lie beside "images"
NAMES: Final = ("instances.json", "_annotations.coco.json", "annotations/instances_*.json")


def labels_of(folder: Path) -> Path | None:
    """The COCO file of a folder, or None if there is none.

    Raises:
        SpecError: if there are several.
    """
    for name in NAMES:
        found = sorted(folder.glob(name))
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(folder)) for path in found[:8])
            raise SpecError(f"{folder}: expected one COCO file, got {names}; give one of them")
        if found:
            return found[0]
    return None


def folders(annotations: Path) -> list[Path]:
    """Where the pictures of a COCO file may be, the likeliest folder first.

    Beside the file or in "images" there; as COCO's archives lie (annotations/instances_val2017.json
    and val2017/), or as ultralytics and CVAT have it (images/val2017/, images/default/, images/).
    """
    beside, above = annotations.parent, annotations.parent.parent
    split = annotations.stem.rpartition("_")[2]
    inner = [above / split, above / "images" / split, above / "images", beside / "images" / split]
    return [beside / "images", beside, *inner, beside / split]


def found(names: Sequence[str], among: Sequence[Path], what: str) -> list[Path]:
    """The path of each picture; one that is nowhere gets that in the first folder.

    Args:
        what: whose pictures they are, for messages.

    Raises:
        SpecError: if none of them is there.
    """
    paths = [next((f / name for f in among if _is_there(f / name)), None) for name in names]
    if names and not any(paths):
        places = ", ".join(str(folder) for folder in dict.fromkeys(among))
        raise SpecError(
            f"{what}: none of its {len(names)} pictures was found; {names[0]} is not in {places}",
            hint="pictures",
        )
    return [path or among[0] / name for path, name in zip(paths, names, strict=True)]


def apart(paths: Sequence[Path], ids: Sequence[int], what: str) -> None:
    """Refuse a file that is listed under two ids, by whatever names or links.

    Args:
        what: whose pictures they are, for messages.

    Raises:
        SpecError: if there is one; both ids are named.
    """
    owners: dict[str, int] = {}
    for path, key in zip(paths, ids, strict=True):
        first = owners.setdefault(os.path.realpath(path), key)
        if first != key:
            raise SpecError(
                f"{what}: images {first} and {key} are the same file, {path}: its labels would be "
                f"split between them; join them under one id"
            )


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no disk can have
        return False
