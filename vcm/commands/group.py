"""How the command line lists its commands and what it says when one fails."""

import contextlib
import errno
from collections.abc import Iterator
from typing import Any, Final

import click

from vcm.commands.hints import helped
from vcm.errors import VcmError

_NO_MEMORY: Final = ("can't allocate memory", "out of memory")  # of the machine, of a GPU


class Failure(click.ClickException):
    """An error as a person sees it: one line, exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print it to standard error."""
        click.echo(f"vcm: {' '.join(self.message.split())}", err=True)


class Command(click.Command):
    """A command that says which of its own options helps where it fails."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except VcmError as error:
            raise Failure(helped(error)) from error


class Group(click.Group):
    """Commands in the order of their definition; errors end as one line without a traceback."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in order."""
        return list(self.commands)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options that stand before a command."""
        try:
            return super().make_context(*args, **kwargs)
        except click.NoSuchOption as error:  # but no arguments at all show the help
            raise Failure(f"{error.format_message()} See: vcm --help") from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _in_one_line():
            return super().invoke(ctx)


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    """Turns what a caller, a file or a machine can cause into a Failure."""
    try:
        yield
    except VcmError as error:
        raise Failure(str(error)) from error
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx is not None else "vcm"
        raise Failure(f"{error.format_message()} See: {name} --help") from error
    except (MemoryError, RuntimeError) as error:
        if "home directory" in str(error):  # as pathlib says it, to whatever library asked
            raise Failure("there is no home folder; set HOME to a folder") from error
        if isinstance(error, RuntimeError) and not any(text in str(error) for text in _NO_MEMORY):
            raise  # torch has no type of its own for these
        advice = "close other programs or give a smaller picture"
        raise Failure(f"not enough memory; {advice}") from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever reads our output has had enough
            raise
        where = "" if error.filename is None else f" {str(error.filename)!r}"
        raise Failure(f"{error.strerror or error}{where}; give another file or folder") from error
