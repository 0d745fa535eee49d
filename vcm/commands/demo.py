"""`vcm demo`: the main job on real photos, shown in a table and on one sheet."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm import draw, image, pipeline
from vcm.codec.api import Codec
from vcm.commands.roi import RoiOptions, backend_of, chooser
from vcm.errors import MissingExtra, OutputError
from vcm.files import make_folder, write_atomic
from vcm.metrics.distortion import psnr
from vcm.roi.mask import RoiMask
from vcm.vision.yolo import Yolo

Image = NDArray[np.uint8]  # (H, W, 3) RGB
SIGMA, QUALITY = 0.1, 25.0  # quality of what is coded evenly
WIDTH = 480  # of a picture on the sheet, in pixels
HEAD = (
    f"{'photo':<10} {'words':<8} {'sigma':>6} {'bytes':>7} {'bpp':>6} "
    f"{'PSNR dB: whole':>15} {'ROI':>6} {'background':>11} {'encode s':>9} {'decode s':>9}"
)


class RoundTrip(NamedTuple):
    """One photo coded one way, and what came back."""

    sigma: float
    data: bytes
    picture: Image
    seconds_encode: float
    seconds_decode: float


def run(output: Path, model: str | None, weights: str) -> Iterator[str]:
    """Encode three photos because of words, decode them in another process; lines to print.

    Writes demo.vcm (the first photo's), one .vcm and .png per photo and way, and demo.png.
    """
    make_folder(output)
    codec, detector = Codec.load(weights), Yolo(model) if model else None
    yield HEAD
    rows = []
    for name, words, photo in photos():
        start = time.perf_counter()
        options = RoiOptions(text=words, sigma=SIGMA)
        mask = chooser(options, backend_of(options))(photo)
        seconds = time.perf_counter() - start
        coded = _both_ways(photo, mask, codec, weights, output / name)
        for c in coded:
            yield _line(name, words, photo, mask.roi, c)
        yield f"{'':<10} ROI: {mask.source}, found in {seconds:.2f} s with loading"
        rows.append(_row(name, words, photo, mask, coded, detector))
    write_atomic(output / "demo.vcm", (output / "cat-roi.vcm").read_bytes())
    image.write(output / "demo.png", draw.sheet(rows))
    yield f"wrote {output / 'demo.vcm'} (the cat) and {output / 'demo.png'} (open it)"


def photos() -> Iterator[tuple[str, str, Image]]:
    """Name, words and picture of photographs that come with scikit-image."""
    try:
        from skimage import data
    except ImportError as error:
        raise MissingExtra("scikit-image", "demo") from error
    yield "cat", "cat", data.chelsea()
    yield "astronaut", "person", data.astronaut()
    yield "coffee", "cup", data.coffee()


def _both_ways(
    photo: Image, mask: RoiMask, codec: Codec, weights: str, stem: Path
) -> tuple[RoundTrip, RoundTrip]:
    """The photo coded evenly, and for its ROI in about as many bytes; decoded elsewhere."""
    even = RoiMask(mask.roi, 1.0, mask.source)
    even_data, even_seconds = _timed(lambda: pipeline.encode(photo, even, codec, quality=QUALITY))
    quality = pipeline.quality_of(pipeline.encode(photo, mask, codec, size=len(even_data)))
    roi_data, roi_seconds = _timed(lambda: pipeline.encode(photo, mask, codec, quality=quality))
    ways = ((1.0, even_data, even_seconds, "even"), (mask.sigma, roi_data, roi_seconds, "roi"))
    first, second = (
        RoundTrip(sigma, data, *_decode_elsewhere(data, stem, way, weights, seconds))
        for sigma, data, seconds, way in ways
    )
    return first, second


def _decode_elsewhere(
    data: bytes, stem: Path, way: str, weights: str, seconds: float
) -> tuple[Image, float, float]:
    """The picture that a fresh process makes of the file, and both times."""
    source, target = (stem.with_name(f"{stem.name}-{way}{s}") for s in (".vcm", ".png"))
    write_atomic(source, data)
    command = [sys.executable, "-m", "vcm", "decode", str(source), "-o", str(target)]
    command += ["--weights", weights, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OutputError(f"decoding in another process failed: {done.stderr.strip()}")
    return image.read(target), seconds, json.loads(done.stdout)["seconds_decode"]


def _timed(work: Callable[[], bytes]) -> tuple[bytes, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _line(name: str, words: str, photo: Image, roi: NDArray[np.bool_], c: RoundTrip) -> str:
    whole, inside, outside = (psnr(photo, c.picture, where) for where in (None, roi, ~roi))
    return (
        f"{name:<10} {words:<8} {c.sigma:>6g} {len(c.data):>7} {_bpp(photo, c):>6.3f} "
        f"{whole:>15.2f} {inside:>6.2f} {outside:>11.2f} "
        f"{c.seconds_encode:>9.2f} {c.seconds_decode:>9.2f}"
    )


def _row(
    name: str,
    words: str,
    photo: Image,
    mask: RoiMask,
    coded: tuple[RoundTrip, RoundTrip],
    detector: Any,
) -> list[Image]:
    """The sheet's row of a photo: original, both decoded pictures, and zooms of all three."""
    window = draw.closest_square(mask.roi)
    share = 100 * mask.share
    captions = [[f'{name}: "{words}"', f"ROI {share:.0f} % of the picture, outlined"]]
    for c in coded:
        kind = "evenly coded" if c.sigma == 1 else f"ROI coded, sigma {c.sigma:g}"
        numbers = f"{len(c.data)} bytes, ROI {psnr(photo, c.picture, mask.roi):.1f} dB"
        captions.append([kind, numbers])
    shown = [draw.outlined(photo, mask.roi)]
    for c in coded:
        boxes = draw.labelled(detector.detect(c.picture), detector.names) if detector else []
        shown.append(draw.boxed(c.picture, boxes))
    zooms = [photo[window], *(c.picture[window] for c in coded)]
    panels = [draw.captioned(p, text, WIDTH) for p, text in zip(shown, captions, strict=True)]
    return panels + [
        draw.captioned(z, [text], WIDTH // 2)
        for z, text in zip(zooms, ("original", "even", "ROI"), strict=True)
    ]


def _bpp(photo: Image, c: RoundTrip) -> float:
    return 8 * len(c.data) * 3 / photo.size
