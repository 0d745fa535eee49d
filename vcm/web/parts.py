"""What the tabs of the page share: pictures, places for files, errors as sentences."""

import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import gradio as gr

from vcm.commands.demo import photos
from vcm.errors import ImageError, MissingExtra, VcmError
from vcm.image import write

BUTTONS: Final[Any] = ["download", "fullscreen"]  # no sharing: nothing leaves the machine
HIGH: Final = 64  # pixels of what the page says: room for the progress
Example = tuple[str, str]  # file and words
Shown = dict[Any, Any]  # what a component shows from now on


def picture(label: str, name: str, buttons: Any = BUTTONS) -> gr.Image:
    """A place for a picture that the page shows; `name` finds it in the page."""
    return gr.Image(
        label=label, elem_id=name, elem_classes="shown", format="png", interactive=False,
        buttons=buttons, min_width=240,
    )  # fmt: skip


def examples(folder: Path) -> list[Example]:
    """Photos that are on the machine, if any; their files are written to the folder."""
    try:
        found = list(photos())
    except MissingExtra:
        return []
    for name, _, photo in found:
        write(folder / f"{name}.png", photo)
    return [(str(folder / f"{name}.png"), words) for name, words, _ in found]


def place(folder: Path, name: str) -> Path:
    """Where a result of this name can be written: nobody else's has the same folder."""
    return Path(tempfile.mkdtemp(dir=folder)) / name


def uploaded(path: str, folder: Path) -> Path:
    """The file of an upload; gradio lets a request name a picture anywhere on the machine.

    Raises:
        ImageError: if it does not lie in the folder of the uploads.
    """
    found = Path(path).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise ImageError("this photo was not uploaded to the page; upload it")
    return found


def said(work: Callable[..., Shown], says: gr.Markdown, results: gr.Column) -> Callable[..., Shown]:
    """Work whose errors become a sentence; results of what was asked before are hidden then."""

    @wraps(work)
    def saying(*values: Any) -> Shown:
        try:
            return {results: gr.Column(visible=True)} | work(*values)
        except VcmError as error:
            return {says: f"**That does not work.** {error}", results: gr.Column(visible=False)}

    return saying
