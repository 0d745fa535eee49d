"""A folder that a camera writes to: each new picture is encoded once it is whole."""

import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Final

from vcm.edge.pictures import READABLE
from vcm.errors import SpecError, VcmError

PAUSE: Final = 0.5  # seconds between two looks
Stamp = tuple[int, int]  # bytes, and when they were written


class Watch:
    """What is known of the pictures of a folder.

    Args:
        folder: with pictures directly in it.
        output: where the files go, by the pictures' names.
        encode: makes a file of a picture.
        say: is told what cannot be encoded, and why; it is tried again when the picture changes.
            It is also told how many files were there already.
        takes: whether a file is a picture, by its name.

    Raises:
        SpecError: if one of them is no folder.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        encode: Callable[[Path, Path], None],
        say: Callable[[str], None],
        takes: Callable[[str], bool] | None = None,
    ):
        for path in (folder, output):
            if not path.is_dir():
                raise SpecError(f"there is no folder {str(path)!r}; create it first")
        self._folder, self._output = folder, output
        self._encode, self._say, self._takes = encode, say, takes or _is_picture
        self._kept = 0  # files that a run before this one made
        self._seen: dict[Path, Stamp] = {}  # at the last look
        self._done: dict[Path, Stamp] = {}
        self._made: dict[Path, Path] = {}  # the picture of each file

    def look(self) -> None:
        """Encode what has not changed since the last look, and is newer than its file."""
        paths = sorted(path for path in self._folder.iterdir() if self._takes(path.name))
        found = {path: _stamp(path) for path in paths}
        for path, stamp in found.items():
            if stamp is None or self._done.get(path) == stamp:
                continue
            if self._seen.get(path) == stamp:  # else it may still be growing
                self._done[path] = stamp
                self._take(path, stamp)
        self._seen = {path: stamp for path, stamp in found.items() if stamp is not None}
        if self._kept:
            self._say(
                f"{self._output}: kept {self._kept} from an earlier run, whatever its options; "
                "delete them to encode these pictures again"
            )
            self._kept = 0

    def go_on(self) -> None:
        """Look again and again, until the program is stopped."""
        while True:
            self.look()
            time.sleep(PAUSE)

    def _take(self, path: Path, stamp: Stamp) -> None:
        target = self._output / f"{path.stem}.vcm"
        if self._made.setdefault(target, path) != path:
            self._say(f"{path}: its file would be that of {self._made[target].name}; rename one")
            return
        made = _stamp(target)
        if made is not None and made[1] > stamp[1]:
            self._kept += 1
            return
        try:
            self._encode(path, target)
        except VcmError as error:
            self._say(f"{path}: {error}")


def _is_picture(name: str) -> bool:
    return PurePath(name).suffix.lower() in READABLE and not name.startswith(".")


def _stamp(path: Path) -> Stamp | None:
    """None if it is not there any more."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns
