"""What MkDocs alone does not do: texts from elsewhere, examples of commands, search from disk."""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from vcm.cli import cli

REPOSITORY = Path(__file__).resolve().parent.parent
# Their places in the site are those in the repository; those of the pages begin in docs/pages.
BORROWED = (
    "docs/*.md",
    "docs/*.jpg",
    "experiments/LOG.md",
    "experiments/*/README.md",
    "experiments/*/*.png",
    "experiments/*/*.toml",
    "tasks/README.md",
    "tasks/*.toml",
    "vcm/weights/*.md",
)
PAGES = REPOSITORY / "docs" / "pages"
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")

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


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links hold in the repository; here they lead to the same file's place in the site."""
    folder = Path(str(page.file.abs_src_path)).parent

    def placed(link: re.Match[str]) -> str:
        target = place(Path(os.path.normpath(folder / link[1])))  # not resolved: tasks is a link
        return f"]({os.path.relpath(target, place(folder))}"

    return LINK.sub(placed, markdown)


def place(path: Path) -> Path:
    """Where a file of the repository is in the site, from its root."""
    return path.relative_to(PAGES if path.is_relative_to(PAGES) else REPOSITORY)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Load nothing from the network; an option without a default has none."""
    output = output.replace("<code>Sentinel.UNSET</code>", "")
    return output.replace(SHIM, get_relative_url("iframe-worker.js", page.url))


def on_post_template(output_content: str, template_name: str, **_: object) -> str:
    """The same for the page that is shown where there is none."""
    return output_content.replace(SHIM, "/iframe-worker.js")
