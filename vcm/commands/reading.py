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
                 help="Refuse a JPEG without its last bytes; else what is missing is grey."),
    click.option("--bits", type=click.IntRange(9, 16), metavar="NUMBER",
                 help="Of samples in 16-bit pictures that do not say it: 12 of many cameras. "
                 "Default: what the file says, or 16."),
    click.option("--exif", type=click.Choice(("apply", "ignore")), default="apply",
                 show_default=True,
                 help="Turn pictures as EXIF says, or leave them as they lie, for labels that "
                 "were drawn so."),
)  # fmt: skip

images = click.option(
    "--images", type=PATH, metavar="FOLDER",
    help="Where the pictures of a COCO file are. Default: images/ beside it, or as the archives of "
    "COCO, ultralytics, roboflow and CVAT have them.",
)  # fmt: skip
