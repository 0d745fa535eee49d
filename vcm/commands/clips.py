"""Options of clips, and how `vcm encode` and `vcm roi` take a clip instead of a picture.

A command with `@encoding` or `@showing` sees pictures alone. Options that the caller gave and that
are not for what the source is are refused.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click
from click.core import ParameterSource

from vcm.container.stream import SUFFIX
from vcm.errors import SpecError

F = TypeVar("F", bound=Callable[..., Any])
ClickOptions = Mapping[str, Callable[[Any], Any]]  # by the names of their parameters
CODECS: Final = (  # a test says that these are those of `vcm.video`, whose module takes a second
    "x264", "x264+roi", "x264+blur", "x265", "x265+roi", "x265+blur", "svt-av1", "svt-av1+blur",
    "vvenc", "vvenc+blur", "kvazaar", "kvazaar+roi", "kvazaar+blur",
)  # fmt: skip
_READ: Final[ClickOptions] = {
    "frames": click.option("--frames", metavar="FIRST:LAST",
        help="Of a clip: these frames, counted from 0, LAST excluded. Either may be left out."),
    "fps": click.option("--fps", metavar="NUMBER",
        help="Of a clip: at most so many frames a second, such as 5 or 30000/1001."),
    "every": click.option("--every", type=click.IntRange(min=1), default=5, show_default=True,
        metavar="NUMBER",
        help="Of a clip: words are looked for in each n-th frame; in between the mask follows "
        "what moves."),
    "raw": click.option("--raw", metavar="WxH[:FORMAT]",
        help="The clip is bare samples of this size, in yuv420p or another pixel format of "
        "ffmpeg."),
    "rate": click.option("--rate", metavar="NUMBER",
        help="Frames a second of bare samples, or of a folder of pictures. Default: 25."),
}  # fmt: skip
_CODED: Final[ClickOptions] = {
    "codec": click.option("--codec", type=click.Choice(CODECS), metavar="CODEC",
        help="Of a clip: the standard codec, in a file that players open: x264, x265, svt-av1, "
        "vvenc or kvazaar; with +roi (a map of QPs follows the mask; x264, x265, kvazaar) or "
        "+blur (what is outside is blurred)."),
    "crf": click.option("--crf", type=int, metavar="NUMBER",
        help="Of a clip: quality of the ROI on the codec's own scale, lower is better. Default: "
        "the codec's."),
    "kbps": click.option("--kbps", type=float, metavar="NUMBER",
        help="Instead of --crf: kilobits a second."),
    "preset": click.option("--preset", metavar="NAME",
        help="Of a clip: how hard the encoder works, by its own names."),
    "low_delay": click.option("--low-delay", is_flag=True,
        help="Of a clip: no frame waits for a later one."),
    "intra": click.option("--intra", is_flag=True,
        help="Of a clip: every frame is coded alone, as a key frame."),
    "no_sound": click.option("--no-sound", is_flag=True, help="Of a clip: leave its sound out."),
}  # fmt: skip


def encoding(command: F) -> F:
    """The command, which codes a clip where one is given."""
    return _split(command, {**_CODED, **_READ}, "encode")


def showing(command: F) -> F:
    """The command, which shows masks over the frames where a clip is given."""
    return _split(command, _READ, "show")


def _split(command: F, options: ClickOptions, work: str) -> F:
    """The command for pictures; for clips, that function of `vcm.commands.video`."""

    @wraps(command)
    def told(source: Path, output: Path, as_json: bool, **values: Any) -> Any:
        own = {name: values.pop(name) for name in options}
        if not _is_clip(source, output, own):
            _refuse(options, "clips")
            return command(source=source, output=output, as_json=as_json, **values)
        from vcm.commands import video

        if work == "encode" and output.suffix.lower() == SUFFIX:
            _refuse(_CODED, "clips by standard codecs")
            report = _streamed(source, output, values, video.ClipOptions(**own))
        else:
            from vcm.commands.roi import RoiOptions

            roi = {f.name: values.pop(f.name) for f in fields(RoiOptions)}
            _refuse(values, "pictures")
            clip = video.ClipOptions(**own)
            report = getattr(video, work)(source, output, RoiOptions(**roi), clip)
        for line in [json.dumps(report)] if as_json else video.lines(report):
            click.echo(line)
        return None

    with_them: Any = told
    for option in reversed(list(options.values())):
        with_them = option(with_them)
    return cast(F, with_them)


def _streamed(source: Path, output: Path, values: dict[str, Any], clip: Any) -> dict[str, Any]:
    """Code a clip as a .vcms stream; its report."""
    from vcm.commands import streaming
    from vcm.commands.encode import Options

    known = {f.name: values.pop(f.name) for f in fields(Options) if f.name in values}
    workers = values.pop("workers")
    _refuse(("overwrite", "reading", *values), "pictures")
    return streaming.encode(source, output, Options(**known), clip, workers)


def _refuse(names: Iterable[str], others: str) -> None:
    """No option goes by without effect: of these the caller gave none.

    Raises:
        SpecError: if one was given.
    """
    context = click.get_current_context()
    written = {str(p.name): p.opts[0] for p in context.command.params}
    unpacked = {"exif", "bits", "strict"} if "reading" in names else set()
    for name in (*unpacked, *names):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise SpecError(f"{written[name]} is for {others} alone; leave it out")


def _is_clip(source: Path, output: Path, own: Mapping[str, Any]) -> bool:
    """By names: a folder of pictures is one if a clip is to be made of it."""
    from vcm.video.join import CONTAINERS
    from vcm.video.reader import is_clip

    if own.get("codec") or is_clip(source):
        return True
    return source.is_dir() and output.suffix.lower() in (*CONTAINERS, SUFFIX)
