"""Where results go: never over what they are made from."""

from collections.abc import Iterable
from pathlib import Path

from vcm import image
from vcm.errors import OutputError
from vcm.files import STDOUT


def of_file(source: Path, output: Path, overwrite: bool) -> Path:
    """Where the .vcm file of a picture goes: `output`, or its name in that folder.

    Raises:
        OutputError: if the name does not end in .vcm (or stands for a device), or was not given
            and is taken, perhaps by the file of another picture.
    """
    if output == STDOUT:
        return output
    if not output.is_dir():
        if output.suffix.lower() != ".vcm" and (output.is_file() or not output.exists()):
            raise OutputError(
                f"{str(output)!r}: expected a name that ends in .vcm, or a folder that is there"
            )
        apart(output, source)
        return output
    return _free(output / f"{source.stem}.vcm", overwrite)


def of_picture(source: Path, output: Path, overwrite: bool) -> Path:
    """Where the picture of a .vcm file goes: `output`, or its name in that folder.

    Raises:
        ImageError: if the name does not say a format.
        OutputError: if the name was not given and is taken, perhaps by the original.
    """
    if not output.is_dir():
        image.format_of(output)
        apart(output, source)
        return output
    return _free(output / f"{source.stem}.png", overwrite)


def _free(target: Path, overwrite: bool) -> Path:
    if target.exists() and not overwrite:
        raise OutputError(f"{str(target)!r} exists already; name another one, or --overwrite")
    return target


def apart(target: Path, *others: Path | None) -> None:
    """Refuse a result that would take the place of another file of the same command.

    Raises:
        OutputError: if the target is one of the others.
    """
    all_apart([target], [other for other in others if other is not None])


def all_apart(targets: Iterable[Path], others: Iterable[Path]) -> None:
    """Refuse results of which one would take the place of another file.

    Raises:
        OutputError: if a target is one of the others.
    """
    there = {other.resolve() for other in others}
    for target in targets:
        if target.resolve() in there:
            raise OutputError(
                f"{str(target)!r} is used twice and would be lost; give the result another name"
            )
