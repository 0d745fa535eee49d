"""From frames and masks to a .vcms stream of our codec."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

from vcm import container, pipeline
from vcm.codec.api import PictureCodec
from vcm.container.stream import StreamWriter
from vcm.container.streams import StreamHeader
from vcm.errors import BitstreamError, ImageError, SpecError
from vcm.files import drafted
from vcm.video.ahead import ahead, cores
from vcm.video.clip import Clip
from vcm.video.follow import Masked
from vcm.video.write import Written


class StreamEncoder:
    """Makes .vcms streams.

    Args:
        codec: of every frame.
        quality: 0 to 100, or
        size: bytes that each frame should have; the quality is searched.
        text: stored in the stream as it is, if given.
        effort: steps of a search for a better latent, see `Codec.compress`.
        workers: threads that code frames; None: one per core.

    Raises:
        SpecError: if a stream cannot hold the text.

    Example:
        >>> clip, task = video.open("clip.mp4"), vcm.find_task("coco-person")
        >>> masked = follow(clip, task, vcm.load_backend("embedded"), Following(every=4))
        >>> encode = StreamEncoder(vcm.Codec.load(), quality=20)
        >>> written = encode(masked, clip, Path("clip.vcms"))
        >>> written.frames, written.bytes == Path("clip.vcms").stat().st_size
        (4, True)
    """

    def __init__(
        self,
        codec: PictureCodec,
        *,
        quality: float | None = None,
        size: int | None = None,
        text: str | None = None,
        effort: int = 0,
        workers: int | None = None,
    ):
        if text is not None:
            try:
                container.check_text(text)
            except BitstreamError as error:
                raise SpecError(f"a stream cannot hold this: {error}") from error
        self._codec, self._text, self._workers = codec, text, workers or cores()
        self._quality, self._size, self._effort = quality, size, effort

    def __call__(self, masked: Iterable[Masked], clip: Clip, output: Path) -> Written:
        """Write a stream, completely or not at all; only a few frames are in memory.

        Args:
            masked: frames of the clip, all of one size.

        Raises:
            OutputError: if the disk fails.
            SpecError: if the quality or size is not possible.
            ImageError: if there is no frame, or one has another size.
        """
        with drafted(output) as write:
            return self._written(masked, clip, write)

    def _written(
        self, masked: Iterable[Masked], clip: Clip, write: Callable[[bytes], None]
    ) -> Written:
        writer: StreamWriter | None = None
        start, before, count = Fraction(0), -1, 0
        for one, data in ahead(self._coded, masked, self._workers):
            picture, frame = container.unpack(data), one.frame
            if writer is None:
                writer, start = StreamWriter(write, self._header(clip, picture)), frame.time
            if frame.image.shape[:2] != (clip.height, clip.width):
                raise ImageError(f"{clip.name}: frame {frame.number} has another size")
            tick = max(before + 1, round((frame.time - start) / clip.tick))
            writer.put(picture, tick)
            before, count = tick, count + 1
        if writer is None:
            raise ImageError(f"{clip.name}: there is no frame in this part of it")
        writer.close()
        seconds = float((before + writer.header.step) * clip.tick)
        return Written(count, seconds, writer.size, writer.size, 0)

    def _coded(self, one: Masked) -> bytes:
        image, mask, quality, size = one.frame.image, one.mask, self._quality, self._size
        return pipeline.encode(image, mask, self._codec, quality=quality, size=size,
                               effort=self._effort)  # fmt: skip

    def _header(self, clip: Clip, picture: container.Bitstream) -> StreamHeader:
        one, step = picture.header, max(1, round(1 / clip.rate / clip.tick))
        return StreamHeader(one.fingerprint, one.height, one.width, clip.tick, step, one.tile,
                            clip.aspect, self._text)  # fmt: skip
