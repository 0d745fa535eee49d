"""`vcm decode`: a file or many."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vcm import container, image, pipeline, weightfile
from vcm.codec.api import Codec
from vcm.commands import batch, places
from vcm.commands.batch import Way
from vcm.errors import BitstreamError, ModelError
from vcm.scale.sinks import digest
from vcm.scale.sources import File, Source, distinct, hidden
from vcm.scale.tars import SHARD, ShardSource


@dataclass(frozen=True)
class Decoding:
    """The job of many files: by which weights, and on which device.

    Attributes:
        weights: None: the built-in ones that each file was made with.
    """

    weights: str | None = None
    device: str = "cpu"

    def load(self) -> Callable[[batch.Item], batch.Made]:
        """The work on one file; a model is loaded once."""
        if self.weights is not None:
            self._codec(self.weights)  # a bad name ends the run now, and not each file

        def work(item: batch.Item) -> batch.Made:
            picture, report = _decoded(item.data, self.codec(item.data))
            return batch.Made(image.packed(Path("x.png"), picture), report)

        return work

    def codec(self, data: bytes) -> Codec:
        """The codec of a file, on its device.

        Raises:
            BitstreamError: if the file is damaged or foreign.
            ModelError: if it was made with weights that are not built in.
        """
        return self.codec_of(container.unpack(data).header.fingerprint)

    def codec_of(self, fingerprint: bytes) -> Codec:
        """The codec for files with a fingerprint; raises ModelError as `codec`."""
        return self._codec(self.weights or _made_with(fingerprint.hex()))

    @property
    def key(self) -> str:
        """What the pictures depend on besides their files."""
        names = list(weightfile.codecs()) if self.weights is None else [self.weights]
        cards = [weightfile.card_of(weightfile.find(name)) for name in names]
        made = [card.get("fingerprint") or card.get("sha256", "") for card in cards]
        return digest(f"{' '.join(made)} {version('vcm')}".encode())[:16]

    def _codec(self, weights: str) -> Codec:
        return _loaded(weights, self.device)


@lru_cache(maxsize=2)
def _loaded(weights: str, device: str) -> Codec:
    return Codec.load(weights, device=device)


def _made_with(fingerprint: str) -> str:
    """The name of the built-in codec that decodes a file."""
    if (name := weightfile.named(fingerprint)) is not None:
        return name
    raise ModelError(
        f"the file was made with the model {fingerprint}, which is not built in",
        hint="weights",
    )


def run(
    source: Path, output: Path, how: Decoding, overwrite: bool = False, way: Way | None = None
) -> dict[str, Any]:
    """Decode a file (its report comes back) or all .vcm files of a folder or of shards, to PNG."""
    way = way or Way()
    if not source.is_dir() and source.suffix != SHARD:
        way.check_one()
        return _one(source, output, overwrite, how)
    found = _files(source)
    result = batch.Result(".png", how.key, Path.is_file, overwrite)
    report = batch.run(how, found, (source, output), result, way)
    # of a folder every .vcm file is read, or fails with its reason
    return report | {"left_out": found.left_out if isinstance(found, ShardSource) else []}


def _one(source: Path, output: Path, overwrite: bool, how: Decoding) -> dict[str, Any]:
    target = places.of_picture(source, output, overwrite)
    data = container.read(source)  # refuses a bad file before the model is loaded
    picture, report = _decoded(data, how.codec(data))
    image.write(target, picture)
    return {"file": str(target)} | report


def _files(source: Path) -> Iterable[Source]:
    """The .vcm files of a folder and the folders in it, or of shards."""
    if not source.is_dir():
        return ShardSource(str(source), _is_ours)
    paths = sorted(source.rglob("*.*"))  # sets of many folders or shards were made so
    found = [path for path in paths if _is_ours(path.name) and not hidden(path.name)]
    if not found:
        raise BitstreamError(f"no .vcm file in {str(source)!r}")
    return distinct([File(path.relative_to(source).as_posix(), path) for path in found])


def _is_ours(name: str) -> bool:
    return name.lower().endswith(".vcm")


def _decoded(data: bytes, codec: Codec) -> tuple[pipeline.Image, dict[str, Any]]:
    start = time.perf_counter()
    picture = pipeline.decode(data, codec)
    seconds = time.perf_counter() - start
    height, width = picture.shape[:2]
    report = {"width": width, "height": height, "bpp": 8 * len(data) / (width * height)}
    return picture, report | {"seconds_decode": seconds}


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    if "failed" in report:
        return batch.lines(report)
    r = report
    return [f"{r['file']}: {r['width']} x {r['height']}, decoded in {r['seconds_decode']:.2f} s"]
