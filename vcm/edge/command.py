"""The command line of a bundle: encode and decode, by the standard library's argparse."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final, get_args

from vcm import container
from vcm.edge import pictures
from vcm.edge.encoding import NETWORKS, many, once
from vcm.edge.watch import Watch
from vcm.errors import SpecError, VcmError
from vcm.roi.mask import OnEmpty

NAME: Final = "vcm_edge.py"
FAILED: Final = 2  # exit codes: of an error of the caller's, and
STOPPED: Final = 130  # of a program that Ctrl-C has ended


def main(folder: Path, argv: list[str] | None = None) -> None:
    """Run the command line of the bundle in a folder; errors of the caller's end with code 2."""
    logging.basicConfig(format=f"{NAME}: %(message)s")
    given = parser().parse_args(argv)
    try:
        COMMANDS[given.command](folder, given)
    except VcmError as error:
        _say(error)
        sys.exit(FAILED)
    except MemoryError:
        _say("not enough memory; close other programs or give a smaller picture")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def parser() -> ArgumentParser:
    """All commands with their options."""
    whole = ArgumentParser(NAME, description="Images for machines, without torch.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("encode", help="compress a picture, or all that come into a folder")
    one.add_argument("source", type=Path, nargs="?", help="a picture")
    one.add_argument("--watch", type=Path, metavar="FOLDER",
                     help="instead of a picture: encode each that comes into this folder, until "
                     "Ctrl-C; -o is a folder then")  # fmt: skip
    one.add_argument("-o", "--output", type=Path, required=True, help="the .vcm file")
    _add_roi(one)
    one.add_argument("--quality", type=float, default=50, metavar="NUMBER",
                     help="0 (smallest file) to 100 (best picture); default 50")  # fmt: skip
    one.add_argument("--store-text", action="store_true", help="keep the words in the file")
    back = commands.add_parser("decode", help="turn a .vcm file back into a picture")
    back.add_argument("source", type=Path, help="a .vcm file")
    back.add_argument("-o", "--output", type=Path, required=True,
                      help=f"the picture ({', '.join(pictures.WRITABLE)})")  # fmt: skip
    return whole


def _add_roi(one: ArgumentParser) -> None:
    add = one.add_argument
    add("--text", metavar="WORDS",
        help='what matters: "person, dog" is both, "vehicle -bus" leaves buses out, '
        '"bus: 1, person: 0.5" says how much')  # fmt: skip
    add("--box", action="append", metavar="X,Y,W,H",
        help="what matters is in this box, in pixels; may be given several times")  # fmt: skip
    add("--mask", type=Path, help="what matters is white in this picture of the same size")
    add("--mask-values", action="store_true",
        help="the mask is grey: how much each pixel matters, by its value over 255, or over 65535 "
        "in a PNG of 16 bits")  # fmt: skip
    add("--sigma", type=float, default=0.1, metavar="NUMBER",
        help="how much the rest matters, over 0, at most 1; default 0.1")  # fmt: skip
    add("--tau", type=float, metavar="NUMBER",
        help="how sure the words' network must be, between 0 and 1")  # fmt: skip
    add("--dilation", type=int, default=0, metavar="PIXELS", help="grow what the words find")
    add("--detail", type=int, choices=(1, 2), default=1,
        help="2: look twice, the second time closely")  # fmt: skip
    add("--on-empty", choices=get_args(OnEmpty), default="whole",
        help="if nothing is found: code the whole picture evenly (default), all of it as "
        "background, or stop")  # fmt: skip


def _encode(folder: Path, given: Namespace) -> None:
    if (given.source is None) == (given.watch is None):
        raise SpecError("give a picture, or a folder with --watch")
    if given.watch is not None:
        Watch(given.watch, given.output, many(folder, given), _say).go_on()
    once(folder, given)


def _decode(folder: Path, given: Namespace) -> None:
    from vcm.codec.runtime.onnx import OnnxDecoder  # not needed to encode

    pictures.check_suffix(given.output)
    data = container.read(given.source)  # refuses a bad file before the networks are loaded
    picture = OnnxDecoder(folder / NETWORKS).decode(data)
    pictures.write(given.output, picture)
    print(f"{given.output}: {picture.shape[1]} x {picture.shape[0]}")


def _say(what: object) -> None:
    """In one line, to standard error."""
    print(f"{NAME}: {' '.join(str(what).split())}", file=sys.stderr, flush=True)


COMMANDS: Final = {"encode": _encode, "decode": _decode}
