"""`vcm bench`: how fast, and in how much memory, beside other codecs on the same machine."""

import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vcm import image
from vcm.anchors import ANCHORS
from vcm.errors import MetricError, SpecError
from vcm.roi.mask import RoiMask

_log = logging.getLogger(__name__)
Image = NDArray[np.uint8]  # (H, W, 3) RGB
Work = Callable[[], Any]
TEXT: Final = "person"
WITH_WORDS: Final = "vcm with TMA"
COMPRESSAI: Final = ("bmshj2018-hyperprior", "mbt2018-mean", "cheng2020-anchor")
CASES: Final = ("vcm", WITH_WORDS, *COMPRESSAI, "avif", "x265-444", "vvenc")
TOO_SLOW: Final = 30.0  # seconds of a run after which larger sizes are not tried
REPEATED: Final = 10.0  # seconds of a first run up to which it is a warm-up, and others follow
HEAD: Final = (
    f"{'codec':<22} {'Mpx':>5} {'encode':>9} {'decode':>9} {'peak':>9}   times the first of a size:"
)
UNITS: Final = (
    f"{'':<22} {'':>5} {'Mpx/s':>9} {'Mpx/s':>9} {'MiB':>9} {'encode':>10} {'decode':>11}"
)


class Timed(NamedTuple):
    """One codec at one size, alone in its process.

    Attributes:
        encode, decode: seconds, the best of the repetitions.
        peak: MiB of resident memory, the interpreter and its libraries included; without those of
            programs that it calls.
    """

    name: str
    megapixels: float
    encode: float
    decode: float
    bytes: int
    peak: float


def run(
    photo: Path, sizes: tuple[float, ...], cases: tuple[str, ...], text: str = TEXT
) -> Iterator[Timed]:
    """Each case at each size, while it is measured; what failed or was too slow ends there.

    Args:
        text: the words of the case with TMA.

    Raises:
        SpecError: if a size or a codec's name cannot be, or the photo does not show the words.
        ImageError: if the photo cannot be read.
    """
    for size in sizes:
        if not 0 < size <= image.MAX_PIXELS / 1e6:
            limit = image.MAX_PIXELS / 1e6
            raise SpecError(f"--megapixels: expected over 0, at most {limit:.0f}, got {size:g}")
    for name in cases:
        if name not in CASES:
            raise SpecError(f"--codec: expected one of {', '.join(CASES)}, got {name!r}")
    picture = image.read(photo)  # here, where what is wrong with it is said well
    if WITH_WORDS in cases:
        _finder(text)(picture)
    return _measured(photo, sizes, cases, text)


def _measured(
    photo: Path, sizes: tuple[float, ...], cases: tuple[str, ...], text: str
) -> Iterator[Timed]:
    slow: set[str] = set()
    for megapixels in sizes:
        for name in cases:
            if name in slow:
                continue
            try:
                timed = _elsewhere(name, photo, megapixels, text)
            except MetricError as error:
                _log.warning("%g megapixels: %s", megapixels, error)
                slow.add(name)
                continue
            yield timed
            if timed.encode + timed.decode > TOO_SLOW:
                slow.add(name)


def table(measured: Iterator[Timed]) -> Iterator[str]:
    """Lines for people: rates, memory, and times beside the first codec at the same size."""
    yield HEAD
    yield UNITS
    first: Timed | None = None
    for timed in measured:
        if first is None or first.megapixels != timed.megapixels:
            first = timed
        yield _line(timed, first)


def measure(name: str, photo: Path, megapixels: float, text: str = TEXT) -> Timed:
    """Time one codec in this process; of what is quick, after one run to warm up."""
    original = image.read(photo)
    picture = enlarged(original, megapixels)
    encode, decode = _codec(name, picture, original, text)
    repetitions = 3 if megapixels < 10 else 1
    first, data = _best(encode, 1)
    if first < REPEATED:
        first, data = _best(encode, repetitions)
    del picture, encode  # who decodes holds none: it would count in the peak
    second, _ = _best(lambda: decode(data), 1)
    if second < REPEATED:
        second, _ = _best(lambda: decode(data), repetitions)
    return Timed(name, megapixels, first, second, _length(data), _peak())


def _peak() -> float:
    """MiB that this process has held at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):  # not Linux, whose ru_maxrss would begin with the parent's
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def enlarged(picture: Image, megapixels: float) -> Image:
    """A picture of about that size with the same detail per pixel: mirrored side by side."""
    height, width = picture.shape[:2]
    factor = (megapixels * 1e6 / (height * width)) ** 0.5
    target = (max(1, round(height * factor)), max(1, round(width * factor)))
    tall = np.concatenate([picture, picture[::-1]])
    tile = np.concatenate([tall, tall[:, ::-1]], 1)
    counts = [-(-t // n) for t, n in zip(target, tile.shape, strict=False)]
    whole = np.tile(tile, (*counts, 1))
    return np.ascontiguousarray(whole[: target[0], : target[1]])


def _codec(
    name: str, picture: Image, original: Image, text: str
) -> tuple[Work, Callable[[Any], Any]]:
    """What encodes the picture, and what decodes the result."""
    if name == WITH_WORDS:
        # the photo itself at that size: side by side, what it shows would be too small for words
        find, shown = (
            _finder(text),
            np.asarray(cv2.resize(original, picture.shape[1::-1]), np.uint8),
        )
        return _ours(picture, lambda: find(shown))
    if name == "vcm":
        even = RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "everything")
        return _ours(picture, lambda: even)
    if name in COMPRESSAI:
        return _compressai(name, picture)
    anchor = ANCHORS[name]
    setting, size = anchor.settings[len(anchor.settings) // 2], picture.shape[:2]
    return lambda: anchor.encode(picture, setting), lambda data: anchor.decode(data, *size)


def _ours(picture: Image, find: Callable[[], RoiMask]) -> tuple[Work, Callable[[Any], Any]]:
    from vcm import pipeline
    from vcm.codec.api import Codec

    codec = Codec.load()
    return (
        lambda: pipeline.encode(picture, find(), codec, quality=50),
        lambda data: pipeline.decode(data, codec),
    )


def _finder(text: str) -> Callable[[Image], RoiMask]:
    """What finds the words in a picture, with a SpecError if it does not show them."""
    from vcm.roi import load_backend
    from vcm.roi.acquire import acquire
    from vcm.roi.text import parse

    words, backend = parse(text), load_backend("embedded")
    return lambda picture: acquire(picture, words, backend, sigma=0.1, on_empty="error")


def _compressai(name: str, picture: Image) -> tuple[Work, Callable[[Any], Any]]:
    """CompressAI's own compress and decompress; weights, here random, do not change the time."""
    import torch
    import torch.nn.functional as F
    from compressai.zoo import image_models

    model = image_models[name](quality=4, pretrained=False).eval()
    model.update()
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    x = F.pad(x, (0, -x.shape[3] % 64, 0, -x.shape[2] % 64), mode="replicate")

    def encode() -> Any:
        with torch.inference_mode():
            return model.compress(x)

    def decode(data: Any) -> Any:
        with torch.inference_mode():
            return model.decompress(data["strings"], data["shape"])

    return encode, decode


def _best(work: Work, repetitions: int) -> tuple[float, Any]:
    """Seconds of the fastest run, and what it gave."""
    seconds, result = [], None
    for _ in range(repetitions):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def _length(data: Any) -> int:
    return len(data) if isinstance(data, bytes) else sum(len(s[0]) for s in data["strings"])


def _elsewhere(name: str, photo: Path, megapixels: float, text: str) -> Timed:
    """Measured in a process of its own, so that memory is its own too."""
    code = (
        "import json, sys; from pathlib import Path; from vcm.commands import bench;"
        "print(json.dumps(bench.measure(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]),"
        "sys.argv[4])))"
    )
    told = [name, str(photo), str(megapixels), text]
    command = [sys.executable, "-W", "ignore", "-c", code, *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"ended with {done.returncode}; out of memory?"]
        raise MetricError(f"{name}: {said[-1]}")
    return Timed(*json.loads(done.stdout.splitlines()[-1]))


def _line(timed: Timed, base: Timed) -> str:
    speed = [timed.megapixels / s for s in (timed.encode, timed.decode)]
    ratio = [timed.encode / base.encode, timed.decode / base.decode]
    return (
        f"{timed.name:<22} {timed.megapixels:>5g} {speed[0]:>9.2f} {speed[1]:>9.2f} "
        f"{timed.peak:>9.0f} {ratio[0]:>10.2f} {ratio[1]:>11.2f}"
    )
