"""Encoders that ffmpeg's program has and PyAV has not: vvenc, kvazaar."""

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from vcm.anchors import ffmpeg
from vcm.anchors.blocks import largest
from vcm.anchors.qp import CTU
from vcm.errors import SpecError
from vcm.video.codecs import EncoderOptions, bits_of
from vcm.video.colour import colour_of, padded
from vcm.video.encoder import ClipJob, check
from vcm.video.steer import Told


class ByProgram:
    """A `ClipEncoder` in a process of its own, which takes frames from a pipe."""

    def __init__(self, job: ClipJob):
        self._job = job
        # not a pipe: one that nobody empties would block it
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the process
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said
        )

    def put(self, told: Told) -> None:
        assert self._process.stdin is not None
        image = padded(told.image, self._job.row.multiple)
        try:
            self._process.stdin.write(np.ascontiguousarray(image).tobytes())
        except BrokenPipeError:
            self._ended()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._ended()
        self._said.close()

    def drop(self) -> None:
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # what it did not read is lost
            self._process.stdin.close()
        self._said.close()

    def _ended(self) -> None:
        """Wait for its end, which is to be a good one."""
        code, name = self._process.wait(), self._job.row.encoder
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        check(name, lines)
        if code:
            raise SpecError(f"{name} failed: {' '.join(lines)[-300:]}")

    def _command(self) -> list[str]:
        job, multiple = self._job, self._job.row.multiple
        size = f"{job.width + -job.width % multiple}x{job.height + -job.height % multiple}"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(job.rate), "-i", "-"]
        colour = colour_of(job.height)
        chain = f"scale={colour.scale},format={job.row.pixels},setsar={job.aspect}"
        tags = ["-color_range", "tv"]
        for name in ("colorspace", "color_primaries", "color_trc"):
            tags += [f"-{name}", colour.matrix]
        bits = bits_of(job.settings)
        rate = [] if bits is None else ["-b:v", str(bits)]
        options = [part for name, value in self._options().items() for part in (f"-{name}", value)]
        start = [ffmpeg.program(), "-hide_banner", "-loglevel", "warning", "-y"]
        codec = ["-c:v", job.row.encoder, *options, *rate]
        target = ["-tag:v", job.row.tag, "-f", "mp4", str(job.path)]
        return [*start, *source, "-vf", chain, *codec, *tags, *target]

    def _options(self) -> EncoderOptions:
        return self._job.row.options(self._job.settings)


class KvazaarProgram(ByProgram):
    """It reads a map of QPs for each frame, by blocks of 64 pixels, from another pipe.

    Raises:
        SpecError: if this system has no named pipes.
    """

    def __init__(self, job: ClipJob):
        if not hasattr(os, "mkfifo"):
            raise SpecError("kvazaar is told its maps by a named pipe, which this system lacks")
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "maps"
        os.mkfifo(path)
        # for both directions: opened for one, it would wait for the other side
        self._maps, self._path = os.open(path, os.O_RDWR), path
        super().__init__(job)

    def put(self, told: Told) -> None:
        height, width = (side + -side % CTU for side in told.image.shape[:2])
        roi = np.ones((height, width), np.bool_) if told.roi is None else told.roi
        steps = np.where(largest(roi, CTU), 0, told.steps)
        rows = [" ".join(map(str, row)) for row in steps.tolist()]
        text = "\n".join([f"{steps.shape[1]} {steps.shape[0]}", *rows]) + "\n"
        os.write(self._maps, text.encode())  # before its frame: it asks for the map with that
        super().put(told)

    def close(self) -> None:
        super().close()
        self._swept()

    def drop(self) -> None:
        super().drop()
        self._swept()

    def _swept(self) -> None:
        os.close(self._maps)
        self._folder.cleanup()

    def _options(self) -> EncoderOptions:
        job, multiple = self._job, self._job.row.multiple
        right, bottom = (s + s % 2 for s in (job.width, job.height))
        crop = f"crop_right={-right % multiple}:crop_bottom={-bottom % multiple}"
        own = super()._options()
        parameters = f"{own.pop('kvazaar-params')},roi={self._path}"
        return own | {"kvazaar-params": parameters, "bsf:v": f"hevc_metadata={crop}"}
