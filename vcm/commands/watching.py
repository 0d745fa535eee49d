"""`vcm watch`: encodes the pictures of a folder that a camera writes to."""

import contextlib
import json
from pathlib import Path
from typing import Any, Final

import click

from vcm.commands import options, reading
from vcm.commands.options import PATH

STOPPED: Final = 130  # the exit code of a program that Ctrl-C has ended


@click.argument("folder", type=PATH)
@options.output("An existing folder for the .vcm files.")
@options.roi
@options.rate
@click.option("--store-text", is_flag=True, help="Keep the words in the file (costs their bytes).")
@options.weights
@reading.options
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each picture.")
def watch(folder: Path, output: Path, **values: Any) -> None:
    """Encode each picture that arrives in a folder, until Ctrl-C.

    A picture is taken once its size has stopped changing, and again when it has been replaced. The
    models stay loaded. A picture that cannot be read is reported and tried again when it changes.

    \b
    vcm watch CAMERA/ --text "person, car" -o CODED/
    """
    from vcm import image
    from vcm.commands.encode import Options, codec_of, coder, lines
    from vcm.commands.roi import backend_of
    from vcm.edge.watch import Watch
    from vcm.files import write_atomic

    chosen = Options(**values)
    code = coder(chosen, codec_of(chosen), backend_of(chosen))

    def encode(source: Path, target: Path) -> None:
        data, told = code(image.read(source, chosen.reading))
        write_atomic(target, data)
        report = {"file": str(target)} | told
        click.echo(json.dumps(report) if chosen.as_json else lines(report)[0])

    def say(line: str) -> None:
        click.echo(f"vcm: {line}", err=True)

    def takes(name: str) -> bool:
        """Those that cannot be read as well: the error of reading them says so."""
        return image.is_picture(name) or name.lower().endswith(image.UNREAD)

    watched = Watch(folder, output, encode, say, takes)
    with contextlib.suppress(KeyboardInterrupt):
        watched.go_on()
    raise SystemExit(STOPPED)
