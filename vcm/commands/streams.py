"""Commands for .vcms streams, and how `vcm decode` takes one instead of a picture."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from vcm.commands import options, table
from vcm.commands.options import PATH
from vcm.container.stream import SUFFIX
from vcm.errors import SpecError

F = TypeVar("F", bound=Callable[..., Any])
FRAMES: Final = "these frames, counted from 0, LAST excluded. Either may be left out."


def decoding(command: F) -> F:
    """The command, made to decode a stream too."""

    @wraps(command)
    def told(source: Path, output: Path, frames: str | None, **values: Any) -> Any:
        if source.suffix.lower() != SUFFIX:
            if frames is not None:
                raise SpecError(f"--frames is for {SUFFIX} streams alone; leave it out")
            return command(source=source, output=output, **values)
        from vcm.commands import playing
        from vcm.commands.batch import WAY, Way
        from vcm.commands.decode import Decoding

        way = Way(**{name: values[name] for name in WAY})
        replace(way, workers=None).check_one()
        how = Decoding(values["weights"], values["device"])
        report = playing.run(source, output, how, values["overwrite"], frames, way.workers)
        table.finish(report, values["as_json"], playing.lines)
        return None

    option = click.option("--frames", metavar="FIRST:LAST", help=f"Of a {SUFFIX} stream: {FRAMES}")
    return cast(F, option(cast(Any, told)))


@click.argument("source", type=PATH)
@click.option("--frames", required=True, metavar="FIRST:LAST", help=FRAMES[0].upper() + FRAMES[1:])
@options.output("The stream that these frames become.")
@options.json
def cut(source: Path, frames: str, output: Path, as_json: bool) -> None:
    """Copy some frames of a .vcms stream to a new one. Nothing is coded again.

    \b
    vcm cut clip.vcms --frames 50:80 -o part.vcms
    """
    from vcm.commands import splicing

    table.finish(splicing.cut(source, output, frames), as_json, splicing.lines)


@click.argument("sources", type=PATH, nargs=-1, required=True)
@options.output("The stream that they become.")
@options.json
def join(sources: tuple[Path, ...], output: Path, as_json: bool) -> None:
    """Join .vcms streams of the same size and model, one after another. Nothing is coded again.

    \b
    vcm join morning.vcms evening.vcms -o day.vcms
    """
    from vcm.commands import splicing

    table.finish(splicing.join(sources, output), as_json, splicing.lines)
