"""What MkDocs alone does not do: texts from elsewhere, examples of commands, search from disk."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from vcm.cli import cli

REPOSITORY = Path(__file__).resolve().parent.parent
# Their places in the site are those in the repository, so the links between them hold.
BORROWED = (
    "docs/*.md",
    "docs/*.jpg",
    "experiments/LOG.md",
    "experiments/*/README.md",
    "experiments/*/*.png",
    "experiments/*/*.toml",
    "tasks/README.md",
    "tasks/*.toml",
)

SHIM = "https://unpkg.com/iframe-worker/shim"  # the theme's; ours is the same script


def on_startup(**_: object) -> None:
    """The examples in the help of a command become blocks of code."""
    for command in (cli, *cli.commands.values()):
        command.help = fenced(command.help or "")


def fenced(text: str) -> str:
    r"""A help text whose paragraphs after click's \b, which keep their lines, are fenced."""
    return re.sub(r"^\x08\n((?:.+\n?)+)", r"```console\n\1\n```\n", text, flags=re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is borrowed."""
    for pattern in BORROWED:
        for path in sorted(REPOSITORY.glob(pattern)):
            name = path.relative_to(REPOSITORY).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Load nothing from the network; an option without a default has none."""
    output = output.replace("<code>Sentinel.UNSET</code>", "")
    return output.replace(SHIM, get_relative_url("iframe-worker.js", page.url))


def on_post_template(output_content: str, template_name: str, **_: object) -> str:
    """The same for the page that is shown where there is none."""
    return output_content.replace(SHIM, "/iframe-worker.js")
