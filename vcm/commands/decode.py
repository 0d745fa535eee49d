"""`vcm decode`: a file or a folder of them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vcm import bitstream, image, pipeline
from vcm.codec.codec import Codec
from vcm.commands import batch, places
from vcm.errors import BitstreamError


def run(source: Path, output: Path, weights: str, overwrite: bool = False) -> dict[str, Any]:
    """Decode a file (its report comes back) or all .vcm files of a folder, to PNG."""
    if not source.is_dir():
        target = places.of_picture(source, output, overwrite)
        bitstream.unpack(bitstream.read(source))  # refuse a bad file before the model is loaded
        return _worker(weights)(source, target)
    sources = sorted(source.glob("*.vcm"))
    if not sources:
        raise BitstreamError(f"no .vcm file in {str(source)!r}")
    work = _worker(weights)
    pairs = batch.targets(sources, output, ".png")
    return batch.each(pairs, lambda t: t.is_file() and not overwrite, work)


def _worker(weights: str) -> Callable[[Path, Path], dict[str, Any]]:
    codec = Codec.load(weights)

    def work(source: Path, target: Path) -> dict[str, Any]:
        data = bitstream.read(source)
        start = time.perf_counter()
        picture = pipeline.decode(data, codec)
        seconds = time.perf_counter() - start
        image.write(target, picture)
        height, width = picture.shape[:2]
        return {"file": str(target), "width": width, "height": height, "seconds_decode": seconds}

    return work


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    if "files" in report:
        return batch.lines(report)
    r = report
    return [f"{r['file']}: {r['width']} x {r['height']}, decoded in {r['seconds_decode']:.2f} s"]
