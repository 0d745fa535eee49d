"""`vcm encode`: a picture or a folder of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcm import bitstream, image, pipeline
from vcm.codec.codec import Codec
from vcm.commands import batch, places
from vcm.commands.roi import RoiOptions, chooser
from vcm.errors import BitstreamError, SpecError
from vcm.files import write_atomic

QUALITY = 50.0
MAX_BPP = 100


@dataclass(frozen=True)
class Options(RoiOptions):
    """The options of `vcm encode`: those of the ROI and these."""

    quality: float | None = None
    bpp: float | None = None
    size: int | None = None
    effort: int = 0
    store_text: bool = False
    overwrite: bool = False
    weights: str = "base"
    as_json: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted = {"quality": self.quality, "bpp": self.bpp, "bytes": self.size}
        given = [name for name, value in wanted.items() if value is not None]
        if len(given) > 1:
            raise SpecError(f"the rate is set once; got --{' and --'.join(given)}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise SpecError(f"--quality: expected a number from 0 to 100, got {self.quality:g}")
        limits = (("bpp", self.bpp, MAX_BPP), ("bytes", self.size, bitstream.MAX_BYTES))
        for name, value, limit in limits:
            if value is not None and not 0 < value <= limit:
                raise SpecError(f"--{name}: expected over 0, at most {limit}, got {value:g}")
        if self.store_text and not self.has_words:
            raise SpecError("--store-text keeps the words of --text or --task; give one of them")


def run(source: Path, output: Path, options: Options) -> dict[str, Any]:
    """Encode a picture (its report comes back) or a folder (see `batch.each`)."""
    if not source.is_dir():
        target = places.of_file(source, output)  # refuse a bad name before models are loaded
        return _worker(options, Codec.load(options.weights))(source, target)
    pictures, codec = image.folder(source), Codec.load(options.weights)
    work = _worker(options, codec)
    pairs = batch.targets(pictures, output, ".vcm")
    return batch.each(pairs, lambda t: _is_done(t, codec) and not options.overwrite, work)


def _worker(options: Options, codec: Codec) -> Callable[[Path, Path], dict[str, Any]]:
    """The work on one picture, with every model loaded once."""
    choose = chooser(options)
    spec = options.spec()
    text = spec.text if spec is not None and options.store_text else None

    def work(source: Path, target: Path) -> dict[str, Any]:
        picture = image.read(source)
        start = time.perf_counter()
        mask = choose(picture)
        chosen = time.perf_counter()
        rate = _rate(options, picture.size // 3)
        data = pipeline.encode(picture, mask, codec, **rate, text=text, effort=options.effort)
        end = time.perf_counter()
        write_atomic(target, data)
        return {
            "file": str(target),
            "bytes": len(data),
            "bpp": 8 * len(data) / (picture.size // 3),
            "quality": bitstream.describe(data)["quality"],
            "roi": mask.source,
            "roi_share": mask.share,
            "sigma": mask.sigma,
            "seconds_roi": chosen - start,
            "seconds_encode": end - chosen,
        }

    return work


def _rate(options: Options, pixels: int) -> dict[str, Any]:
    if options.bpp is not None:
        return {"size": max(1, round(options.bpp / 8 * pixels))}
    if options.size is not None:
        return {"size": options.size}
    return {"quality": QUALITY if options.quality is None else options.quality}


def _is_done(target: Path, codec: Codec) -> bool:
    """Whether a whole file of this codec is there; a damaged or foreign one is written anew."""
    try:
        stream = bitstream.unpack(bitstream.read(target))
    except BitstreamError:
        return False
    return stream.header.fingerprint == codec.fingerprint


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    if "files" in report:
        return batch.lines(report)
    share, r = 100 * report["roi_share"], report
    return [
        f"{r['file']}: {r['bytes']} bytes, {r['bpp']:.3f} bpp, quality {r['quality']:g}",
        f"ROI: {r['roi']}, {share:.1f} % of the picture; outside: sigma {r['sigma']:g}",
        f"time: ROI {r['seconds_roi']:.2f} s, encoding {r['seconds_encode']:.2f} s",
    ]
