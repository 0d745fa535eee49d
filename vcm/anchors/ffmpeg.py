"""ffmpeg as a subprocess: pictures in, a coded picture out, and back."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np

from vcm.anchors.base import Image
from vcm.errors import MetricError, MissingExtra

# bt601 full range both ways, with rounding: swscale's defaults cost up to 3 dB
TO_YUV = "scale=out_range=pc:out_color_matrix=bt601:flags=accurate_rnd+full_chroma_int+bicubic"
TO_RGB = "scale=in_range=pc:in_color_matrix=bt601:flags=accurate_rnd+full_chroma_int+bicubic"

LONGEST = 100_000  # characters of an argument; Linux takes 131,071
LEAST = 16  # pixels of a side: x265 and vvenc refuse less


@cache
def program() -> str:
    """The path of ffmpeg.

    Raises:
        MissingExtra: if imageio-ffmpeg is not installed.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise MissingExtra("imageio-ffmpeg", "anchors") from error
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def version() -> str:
    """What the program says of itself: it need not be the one that imageio-ffmpeg brought."""
    said = subprocess.run([program(), "-version"], capture_output=True, text=True, check=True)
    return said.stdout.partition("\n")[0]


def run(arguments: Sequence[str], stdin: bytes) -> bytes:
    """What ffmpeg writes to its output.

    Raises:
        MetricError: if it fails.
    """
    command = [program(), "-hide_banner", "-loglevel", "error", "-threads", "1", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise MetricError(f"ffmpeg failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def encode(
    image: Image,
    pixels: str,
    codec: Sequence[str],
    format: str,
    filters: str = "",
    multiple: int = 2,
) -> bytes:
    """A raw stream of one picture, padded to sides that are a multiple, and at least `LEAST`.

    Args:
        pixels: ffmpeg's pixel format.
        codec: the encoder's arguments.
        format: of the stream, without a container where there is one.
        filters: applied to the RGB picture before the conversion.
    """
    height, width = image.shape[:2]
    rows, columns = _padded(height, multiple), _padded(width, multiple)
    image = np.pad(image, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")
    size = f"{columns}x{rows}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-i", "-"]
    chain = ",".join(part for part in (filters, TO_YUV, f"format={pixels}") if part)
    target = ["-frames:v", "1", *codec, "-f", format, "-"]
    with _given(chain) as filtered:
        return run([*source, *filtered, *target], np.ascontiguousarray(image).tobytes())


@contextmanager
def _given(chain: str) -> Iterator[list[str]]:
    """The arguments that name a chain of filters; a long one, of a fine QP map, is in a file."""
    if len(chain) < LONGEST:
        yield ["-vf", chain]
        return
    major = re.search(r"version n?(\d+)", version())
    option = "-filter_script:v" if major and int(major[1]) < 7 else "-/filter:v"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(chain)
        file.flush()
        yield [option, file.name]


def decode(data: bytes, format: str, height: int, width: int, multiple: int = 2) -> Image:
    """The first picture of a stream: (height, width, 3) uint8, RGB."""
    target = ["-vf", f"{TO_RGB},format=rgb24", "-frames:v", "1", "-f", "rawvideo", "-"]
    raw = run(["-f", format, "-i", "-", *target], data)
    rows, columns = _padded(height, multiple), _padded(width, multiple)
    return np.frombuffer(raw, np.uint8).reshape(rows, columns, 3)[:height, :width]


def _padded(side: int, multiple: int) -> int:
    return max(LEAST, side + -side % multiple)
