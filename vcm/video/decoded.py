"""A .vcms stream as a clip, whose frames are decoded as they are needed."""

from collections.abc import Iterator

from vcm import container, pipeline
from vcm.codec.api import PictureCodec
from vcm.container.stream import FrameStream
from vcm.errors import BitstreamError
from vcm.video.ahead import ahead, cores
from vcm.video.clip import Frame, Image, Span


class StreamClip:
    """The frames of a stream: a `Clip`.

    In place of a damaged or lost frame, the one before it is repeated; at the start, the first
    whole one is shown.

    Args:
        codec: of the model that the stream was made with.
        span: which frames; its `fps` is ignored.
        workers: threads that decode frames; None: one per core.

    Attributes:
        lost: why each frame that could not be decoded failed, by its number; complete after the
            last frame.
    """

    def __init__(
        self,
        name: str,
        stream: FrameStream,
        codec: PictureCodec,
        span: Span,
        workers: int | None = None,
    ):
        header = stream.header
        self.name, self.width, self.height = name, header.width, header.height
        self.tick, self.aspect = header.tick, header.aspect
        self.rate = 1 / (header.tick * header.step)
        self.notes = [stream.said] if stream.said else []
        self.lost: dict[int, str] = {}
        self._stream, self._codec, self._workers = stream, codec, workers or cores()
        self._numbers = range(span.first, min(len(stream), span.last or len(stream)))

    @property
    def length(self) -> int:
        """How many frames there are."""
        return len(self._numbers)

    def __iter__(self) -> Iterator[Frame]:
        """The frames from the first.

        Raises:
            BitstreamError: if none of them is whole.
        """
        self.lost.clear()
        before: Image | None = None
        early: list[int] = []  # lost, with nothing to show yet
        for number, image in ahead(self._decoded, self._numbers, self._workers):
            if isinstance(image, str):
                self.lost[number] = image
                if before is None:
                    early.append(number)
                    continue
                image = before
            for waiting in early:
                yield Frame(waiting, self._stream.seconds(waiting), image)
            early, before = [], image
            yield Frame(number, self._stream.seconds(number), image)
        if before is None:
            reason = f": {self.lost[early[0]]}" if early else ""
            raise BitstreamError(f"{self.name!r}: no frame can be decoded{reason}")

    def _decoded(self, number: int) -> Image | str:
        """The picture of a frame, or why there is none."""
        try:
            return pipeline.decode(container.pack(self._stream.frame(number)), self._codec)
        except BitstreamError as error:
            return str(error)
