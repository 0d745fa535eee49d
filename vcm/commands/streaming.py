"""`vcm encode` of a clip to a .vcms stream."""

from collections.abc import Iterable
from pathlib import Path

from vcm.commands import encode as pictures
from vcm.commands.encode import Options
from vcm.commands.video import ClipOptions, Report, has_sound, written
from vcm.video import Clip
from vcm.video.coded import StreamEncoder
from vcm.video.follow import Masked
from vcm.video.source import sounds
from vcm.video.write import Written


def encode(
    source: Path, output: Path, options: Options, clip: ClipOptions, workers: int | None
) -> Report:
    """Code a clip by our codec, every frame on its own; returns a report.

    Args:
        options: those of pictures, which hold for every frame.
        workers: threads; None: one per core.
    """
    spec = options.spec()
    text = spec.text if spec is not None and options.store_text else None

    def write(masked: Iterable[Masked], opened: Clip) -> Written:
        rate = pictures.rate_of(options, opened.width * opened.height)
        codec = pictures.codec_of(options)
        coder = StreamEncoder(codec, **rate, text=text, effort=options.effort, workers=workers)
        made = coder(masked, opened, output)
        if has_sound(source, clip) and sounds(str(source)):
            opened.notes.append("its sound is left out: a .vcms stream holds only pictures")
        return made

    return written(source, output, options, clip, write) | {"codec": "vcm"}
