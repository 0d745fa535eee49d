"""Shell completion: the script that a shell reads, and the names that it offers."""

from collections.abc import Callable, Iterable
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from vcm import weightfile
from vcm.task import task_names

SHELLS: Final = ("bash", "zsh", "fish")
CODECS: Final = (  # a test says that these are those of `vcm eval`, whose module takes seconds
    "vcm", "jpeg", "webp", "jpeg2000", "avif", "x265", "x265-420", "x265-444", "svt-av1", "vvenc",
    "kvazaar", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018", "cheng2020-anchor",
)  # fmt: skip
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def script(cli: click.Command, shell: str) -> str:
    """What a shell has to read once so that it completes `vcm`; `shell` is one of SHELLS."""
    found = get_completion_class(shell)
    assert found is not None
    return found(cli, {}, "vcm", "_VCM_COMPLETE").source()


@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def printed(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands, options, tasks and files.

    \b
    vcm completion bash >> ~/.bashrc
    vcm completion zsh >> ~/.zshrc
    vcm completion fish > ~/.config/fish/completions/vcm.fish
    """
    click.echo(script(context.find_root().command, shell))


def tasks(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of built-in tasks; of a path, the shell's own."""
    return _names(task_names(), begun) or _files(begun)


def weights(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of built-in codec models; of a path, the shell's own."""
    names = weightfile.codecs()
    return _names(names, begun) or _files(begun)


def listed(names: Iterable[str]) -> Complete:
    """Names in a list whose parts commas separate: the last part is completed."""
    known = tuple(names)

    def complete(
        context: click.Context, parameter: click.Parameter, begun: str
    ) -> list[CompletionItem]:
        done, comma, last = begun.rpartition(",")
        return [CompletionItem(f"{done}{comma}{n}") for n in known if n.startswith(last)]

    return complete


def _names(names: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _files(begun: str) -> list[CompletionItem]:
    return [CompletionItem(begun, type="file")]
