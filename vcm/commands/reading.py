"""Options that say how picture files are read, and where those of a COCO file are."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

import click

from vcm.commands.options import PATH

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """The command with --exif, --bits and --strict, which it gets as one `reading`."""

    @wraps(command)
    def told(*arguments: Any, exif: str, bits: int | None, strict: bool, **values: Any) -> Any:
        from vcm.image import Reading  # which needs numpy

        return command(*arguments, reading=Reading(exif == "apply", strict, bits), **values)

    with_them: Any = told
    for option in _OPTIONS:
        with_them = option(with_them)
    return cast(F, with_them)


_OPTIONS: Final = (
    click.option("--strict", is_flag=True,
                 help="Refuse a truncated JPEG. Without this, the missing part is grey."),
    click.option("--bits", type=click.IntRange(9, 16), metavar="NUMBER",
                 help="Significant bits of 16-bit samples; 12 for many cameras. "
                 "Default: what the file says, or 16."),
    click.option("--exif", type=click.Choice(("apply", "ignore")), default="apply",
                 show_default=True,
                 help="apply: turn pictures as EXIF says. ignore: leave them as they are stored, "
                 "if the labels were drawn that way."),
)  # fmt: skip

images = click.option(
    "--images", type=PATH, metavar="FOLDER",
    help="Where the pictures of a COCO file are. Default: in images/ beside it, or where "
    "archives of COCO, ultralytics, roboflow and CVAT put them.",
)  # fmt: skip
