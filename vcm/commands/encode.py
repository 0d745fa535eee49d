"""`vcm encode`: a picture or many."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vcm import container, dataset, image, pipeline, plugin
from vcm.codec.api import EFFORT_MAX, Codec
from vcm.commands import batch, places, words
from vcm.commands.batch import Way
from vcm.commands.roi import RoiOptions, backend_of, chooser
from vcm.errors import BitstreamError, SpecError
from vcm.files import write_atomic
from vcm.image import AS_USUAL, Reading
from vcm.pipeline import Image
from vcm.roi import SEVERAL, specialists
from vcm.roi.base import Backend
from vcm.roi.embedded import built_in
from vcm.scale.sinks import digest
from vcm.scale.sources import Source, distinct, files, hidden

QUALITY = 50.0
MAX_BPP = 100
# what the masks of a backend depend on besides its weights
PACKAGES = {
    "clipseg": "transformers",
    "grounding": "transformers",
    "segmenter": "ultralytics",
    "auto": "ultralytics",
}


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
    reading: Reading = AS_USUAL

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted = {"quality": self.quality, "bpp": self.bpp, "bytes": self.size}
        given = [name for name, value in wanted.items() if value is not None]
        if len(given) > 1:
            raise SpecError(f"the rate is set once; got --{' and --'.join(given)}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise SpecError(f"--quality: expected a number from 0 to 100, got {self.quality:g}")
        limits = (("bpp", self.bpp, MAX_BPP), ("bytes", self.size, container.MAX_BYTES))
        for name, value, limit in limits:
            if value is not None and not 0 < value <= limit:
                raise SpecError(f"--{name}: expected over 0, at most {limit}, got {value:g}")
        if self.store_text and not self.has_words:
            raise SpecError("--store-text keeps the words of --text or --task; give one of them")
        if not 0 <= self.effort <= EFFORT_MAX:
            raise SpecError(f"--effort: expected 0 to {EFFORT_MAX} steps, got {self.effort}")
        if self.store_text:
            container.check_text(self.spec().text)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Encoding:
    """The job of many pictures."""

    options: Options

    def load(self) -> Callable[[batch.Item], batch.Made]:
        """The work on one picture, with every model loaded."""
        code = coder(self.options, codec_of(self.options), backend_of(self.options))

        def work(item: batch.Item) -> batch.Made:
            with image.told() as said:
                picture = image.parse(item.data, item.where, self.options.reading)
            data, report = code(picture)
            return batch.Made(data, report | ({"said": said} if said else {}))

        return work


def run(source: Path, output: Path, options: Options, way: Way | None = None) -> dict[str, Any]:
    """Encode a picture (its report comes back) or many (see `batch.run`)."""
    way = way or Way()
    if not dataset.is_set(source):
        if source.exists():
            way.check_one()
        return _one(source, output, options)
    pictures, codec = _pictures(source), codec_of(options)
    told = _said(options)
    whole = partial(_is_done, codec=codec)
    result = batch.Result(".vcm", key(options, codec), whole, options.overwrite)
    report = batch.run(Encoding(options), pictures, (source, output), result, way)
    return report | told | {"left_out": dataset.left_out(source, pictures)}


def _said(options: Options) -> dict[str, Any]:
    """Look up the words here: workers warn of nothing, and an unknown word ends the run now."""
    if options.has_words and options.backend not in SEVERAL:  # large ones, which take any words
        return {"networks": [options.backend], "recall": None}
    return words.said(backend_of(options), options.spec())


def _one(source: Path, output: Path, options: Options) -> dict[str, Any]:
    target = places.of_file(source, output, options.overwrite)  # before models are loaded
    codec, backend = codec_of(options), backend_of(options)
    told = words.said(backend, options.spec())
    data, report = coder(options, codec, backend)(image.read(source, options.reading))
    write_atomic(target, data)
    return {"file": str(target)} | report | told


def _pictures(source: Path) -> Iterable[Source]:
    """The pictures of a set, of which no two would become the same file."""
    if source.is_dir():
        return files(image.folder(source))
    found = dataset.pictures(source)
    return distinct(found) if isinstance(found, tuple) else found


def codec_of(options: Options) -> Codec:
    """The codec, on its device."""
    return Codec.load(options.weights, device=options.device)


def coder(
    options: Options, codec: Codec, backend: Backend | None
) -> Callable[[Image], tuple[bytes, dict[str, Any]]]:
    """What makes the file of a picture and tells of it; the backend is that of `backend_of`."""
    choose = chooser(options, backend)
    spec = options.spec()
    text = spec.text if spec is not None and options.store_text else None

    def code(picture: Image) -> tuple[bytes, dict[str, Any]]:
        start = time.perf_counter()
        mask = choose(picture)
        chosen = time.perf_counter()
        rate = rate_of(options, picture.size // 3)
        data = pipeline.encode(picture, mask, codec, **rate, text=text, effort=options.effort)
        end = time.perf_counter()
        return data, {
            "bytes": len(data),
            "bpp": 8 * len(data) / (picture.size // 3),
            "quality": container.describe(data)["quality"],
            "roi": mask.source,
            "roi_share": mask.share,
            "sigma": mask.sigma,
            "seconds_roi": chosen - start,
            "seconds_encode": end - chosen,
        }

    return code


def key(options: Options, codec: Codec) -> str:
    """Names everything that a file depends on besides its picture."""
    others = ("as_json", "overwrite", "device", "weights", "text", "task", "mask", "roi_weights")
    given = {k: v for k, v in asdict(options).items() if k not in others}
    if options.reading == AS_USUAL:  # what was made before there was another way stays
        del given["reading"]
    if options.bpp is None and options.size is None and options.quality is None:
        given["quality"] = QUALITY
    if not options.mask_values:
        del given["mask_values"]
    if options.importance is None:
        del given["importance"]
    spec = options.spec()
    mask = options.mask and digest(image.load(options.mask))
    roi = [built_in(), _backend(options.backend), _weights(options.roi_weights)]
    if options.importance is not None:
        roi.append(_weights(options.importance))
    if spec is not None and options.backend in SEVERAL:
        roi += specialists.made_by((*spec.phrases, *spec.exclude))
    # not the codec's fingerprint, which is its decoder's: several encoders may share it
    models = [codec.card["sha256"], *roi, version("vcm")]
    task = spec and {k: v for k, v in asdict(spec).items() if k != "values" or v}
    text = json.dumps([given, task, mask, models], sort_keys=True)
    return digest(text.encode())[:16]


def _backend(name: str) -> str | None:
    """What a backend is besides its name: the code of a class of the caller's own, or a version."""
    if plugin.is_plugin(name):
        return _contents(plugin.file_of(name))
    try:
        return version(PACKAGES[name]) if name in PACKAGES else None
    except PackageNotFoundError:  # the backend says so when it is loaded
        return None


def _weights(name: str | None) -> str | None:
    """The name of a model, or what its file or folder holds: that may be replaced."""
    return name and (_contents(Path(name)) or name)


def _contents(path: Path) -> str | None:
    """SHA-256 of a file, or of names and bytes of what is in a folder; None if it is not there."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return None
    names = [p.relative_to(path) for p in sorted(path.rglob("*")) if p.is_file()]
    shown = [name for name in names if not any(map(hidden, name.parts))]  # .git, downloads' notes
    return digest(json.dumps([[str(name), _contents(path / name)] for name in shown]).encode())


def rate_of(options: Options, pixels: int) -> dict[str, Any]:
    """What `pipeline.encode` is told of the rate of a picture of so many pixels."""
    if options.bpp is not None:
        return {"size": max(1, round(options.bpp / 8 * pixels))}
    if options.size is not None:
        return {"size": options.size}
    return {"quality": QUALITY if options.quality is None else options.quality}


def _is_done(target: Path, codec: Codec) -> bool:
    """Whether a whole file of this codec is there; a damaged or foreign one is written anew."""
    try:
        stream = container.unpack(container.read(target))
    except BitstreamError:
        return False
    return stream.header.fingerprint == codec.fingerprint


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    if "failed" in report:
        by = [f"words: {' + '.join(report['networks'])}"] if "networks" in report else []
        return batch.lines(report) + by
    share, r = 100 * report["roi_share"], report
    outside = f"outside: sigma {r['sigma']:g}" if share < 100 else "nothing is outside"
    return [
        f"{r['file']}: {r['bytes']} bytes, {r['bpp']:.3f} bpp, quality {r['quality']:g}",
        f"ROI: {r['roi']}, {share:.1f} % of the picture; {outside}",
        f"time: ROI {r['seconds_roi']:.2f} s, encoding {r['seconds_encode']:.2f} s",
    ]
