"""Encoders that PyAV brings: x264, x265, SVT-AV1."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from vcm.anchors.blocks import BLOCK, largest, runs
from vcm.errors import OutputError, SpecError
from vcm.video.codecs import BITS, bits_of
from vcm.video.colour import colour_of, padded
from vcm.video.encoder import ClipJob, check
from vcm.video.source import library
from vcm.video.steer import Told

if TYPE_CHECKING:
    from av import VideoFrame

DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT, errno.EIO)
QPS: Final = 51  # of 8 bit; 6 more for each bit


class ByLibrary:
    """A `ClipEncoder` in this process. Its QP map holds for one frame; the next has another."""

    def __init__(self, job: ClipJob):
        self._av, self._job, self._count = library(), job, 0
        self._colour = colour_of(job.height)
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to standard error
        row, multiple = job.row, job.row.multiple
        with self._told():
            self._file = self._av.open(str(job.path), "w", format="mp4")
            options = row.options(job.settings)
            self._stream = self._file.add_stream(row.encoder, rate=job.rate, options=options)
            context = self._stream.codec_context
            context.width = job.width + -job.width % multiple
            context.height = job.height + -job.height % multiple
            context.pix_fmt, context.codec_tag = row.pixels, row.tag
            context.time_base, context.framerate = 1 / job.rate, job.rate
            context.sample_aspect_ratio = job.aspect
            context.color_range = 1  # tv
            context.colorspace = context.color_primaries = context.color_trc = self._colour.code
            if (bits := bits_of(job.settings)) is not None:
                context.bit_rate = bits
            context.open()

    def put(self, told: Told) -> None:
        frame = self._av.VideoFrame.from_ndarray(padded(told.image, self._job.row.multiple))
        frame.pts, frame.time_base = self._count, 1 / self._job.rate
        with self._told():
            self._file.mux(self._stream.encode(self._mapped(frame, told)))
        self._count += 1

    def close(self) -> None:
        with self._told():
            self._file.mux(self._stream.encode(None))
            self._file.close()

    def drop(self) -> None:
        self._file.close()

    def _mapped(self, frame: "VideoFrame", told: Told) -> "VideoFrame":
        """The frame as the encoder takes it, with its map beside it."""
        graph = self._av.filter.Graph()
        chain = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                                  time_base=frame.time_base)]  # fmt: skip
        chain += [graph.add("addroi", region) for region in self._regions(told)]
        chain.append(graph.add("scale", self._colour.scale))
        chain.append(graph.add("format", f"pix_fmts={self._job.row.pixels}"))
        chain.append(graph.add("buffersink"))
        for one, other in zip(chain, chain[1:], strict=False):
            one.link_to(other)
        graph.configure()
        graph.push(frame)
        made: VideoFrame = graph.pull()
        return made

    def _regions(self, told: Told) -> Iterator[str]:
        """Rectangles of the ROI, fine as the settings say, then the rest: the first one counts."""
        if told.roi is None or not told.steps:
            return
        for x, y, w, h in runs(largest(told.roi, BLOCK), *told.roi.shape):
            yield f"x={x}:y={y}:w={w}:h={h}:qoffset=0"
        range_ = QPS + 6 * (BITS[self._job.row.pixels] - 8)
        yield f"x=0:y=0:w=iw:h=ih:qoffset={min(1, told.steps / range_):.4f}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the encoder says meanwhile is checked, and what it raises is an error of ours."""
        logging, name = self._av.logging, self._job.row.encoder
        before = logging.get_level()
        logging.set_level(logging.WARNING)
        try:
            with logging.Capture() as lines:
                yield
        except self._av.FFmpegError as error:
            if error.errno in DISK:
                raise OutputError(
                    f"cannot write {str(self._job.path)!r}: {error.strerror}; make room"
                ) from error
            raise SpecError(f"{name} cannot do this: {error}") from error
        finally:
            logging.set_level(before)
        check(name, [text for _, who, text in lines if who == name])
