"""A model that `vcm export` wrote: networks run by onnxruntime, tables, and helpers in numpy.

Arrays have no batch axis; h and w are the rows and columns of the latent.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcm.codec.format.coder import Coder
from vcm.codec.format.constants import PASSES
from vcm.codec.format.tables import Tables
from vcm.codec.format.tiles import Tile
from vcm.codec.format.walk import places
from vcm.errors import ModelError
from vcm.ort import Session

FORMAT: Final = "vcm-onnx-3"
FACTS: Final = "codec.json"
Floats = NDArray[np.float32]


class Exported:
    """Networks and tables of one model.

    Args:
        folder: what `vcm export` wrote.
        networks: picks the names of the networks that are needed from the facts.

    Attributes:
        fingerprint: 8 bytes that identify the decoder.
        facts: the contents of `codec.json`.
        z, y: coders of the two latents.

    Raises:
        ModelError: if the folder is not an export, or a file in it is damaged.
    """

    def __init__(self, folder: str | Path, networks: Callable[[dict[str, Any]], Iterable[str]]):
        self._folder = Path(folder)
        try:
            self.facts: Final = json.loads((self._folder / FACTS).read_text(encoding="utf-8"))
            if self.facts["format"] != FORMAT:
                raise ValueError(f"expected the format {FORMAT}, got {self.facts['format']}")
            self.fingerprint: Final = bytes.fromhex(self.facts["fingerprint"])
            tables = {n: Tables.of(t["cdf"], t["offset"]) for n, t in self.facts["tables"].items()}
            self.z, self.y = Coder(tables["z"]), Coder(tables["y"], silent=1)
            self._networks = {name: self._network(name) for name in networks(self.facts)}
        except (OSError, KeyError, TypeError, ValueError, ModelError) as error:
            raise ModelError(
                f"{str(folder)!r} is not what `vcm export` writes ({error}); export it again"
            ) from error

    @property
    def channels(self) -> dict[str, int]:
        """Number of channels of "y" and "z"."""
        found: dict[str, int] = self.facts["channels"]
        return found

    def reach(self, transform: str) -> int:
        """How far "analysis" and "synthesis" see, in latents."""
        return int(self.facts["reach"][transform])

    @property
    def mapped(self) -> bool:
        """Whether files of the model may have a map."""
        return bool(self.facts["below"])

    def width(self, name: str) -> int:
        """Channels of a network's first output."""
        first: tuple[Any, ...] = next(iter(self._networks[name].outputs.values()))
        return int(first[1])

    def run(self, name: str, first: NDArray[Any], **inputs: NDArray[Any]) -> list[Floats]:
        """A network's results; inputs of three axes get their batch axis."""
        network = self._networks[name]
        feed = {next(iter(network.inputs)): first} | inputs
        feed = {k: np.asarray(v[None] if v.ndim == 3 else v, np.float32) for k, v in feed.items()}
        return [result[0] for result in network.run(feed)]

    def _network(self, name: str) -> Session:
        """On the CPU: GPUs may compute float32 less exactly and choose other tables."""
        # Threads of six networks that spin while they wait would keep all processors busy, and the
        # memory that each network keeps for its next run would add up.
        path = self._folder / f"{name}.onnx"
        return Session(path, path.name, spin=False, keep=False)


def parts(h: int, w: int, most: int) -> Iterator[Tile]:
    """A latent of (h, w) cut into parts of at most `most` latents, by halving the longer side: what
    a transform works on at once takes memory."""
    height, width = h, w
    while height * width > most and (height, width) != (1, 1):
        height, width = (-(-height // 2), width) if height >= width else (height, -(-width // 2))
    for top in range(0, h, height):
        for left in range(0, w, width):
            yield Tile(top, left, min(h, top + height), min(w, left + width))


def even(t: NDArray[Any]) -> NDArray[Any]:
    """Padded by a row or a column of zeros where their number is odd."""
    return zeros_beyond(t, 2)


def zeros_beyond(t: NDArray[Any], unit: int) -> NDArray[Any]:
    """Padded with zeros to sides that are multiples of a unit."""
    rows, columns = (-n % unit for n in t.shape[1:])
    return np.pad(t, ((0, 0), (0, rows), (0, columns))) if rows or columns else t


def filled(t: NDArray[Any], unit: int) -> NDArray[Any]:
    """Padded to sides that are multiples of a unit, by repeating the last row and column."""
    rows, columns = (-n % unit for n in t.shape[1:])
    return np.pad(t, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else t


def quarter(number: int, t: NDArray[Any]) -> NDArray[Any]:
    """The elements of (M, h, w) that a pass codes: (M, h/2, w/2), ordered by place."""
    groups = t.reshape(-1, PASSES, *t.shape[1:])  # (M/4, group, h, w)
    return np.concatenate([groups[:, g, i::2, j::2] for g, i, j in places(number)])


def place(number: int, part: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy a quarter back to where `quarter` took it from, as far as it lies inside `target`."""
    for (g, i, j), values in zip(places(number), np.split(part, PASSES), strict=True):
        there = target[g::PASSES, i::2, j::2]
        there[:] = values[:, : there.shape[1], : there.shape[2]]
