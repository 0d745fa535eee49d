"""The page: three tabs in a frame."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from vcm.web import opened, photo, tasks
from vcm.web.parts import examples
from vcm.web.studio import Studio

DAY: Final = 86_400  # seconds that uploads are kept
WAITING: Final = 64  # requests in the queue; more are refused with a sentence
FONTS: Final = ["system-ui", "sans-serif"]  # on the machine: nothing comes from the network
CSS: Final = """
footer {display: none !important}
#numbers {overflow-x: auto}
#numbers td, #numbers th {
  font-variant-numeric: tabular-nums; white-space: nowrap;
  border-color: var(--border-color-primary)
}
@media (max-width: 640px) {
  #numbers td, #numbers th {padding: 3px; font-size: 11px; word-break: normal}
  #numbers th {white-space: normal}
}
.shown [data-testid="block-label"] {position: static} /* not on the picture */
"""


class Page(gr.Blocks):  # type: ignore[misc]  # gradio is not typed
    """Blocks whose server fetches nothing.

    gradio downloads a file that a request names by its address, of any size and for any input,
    before a function of ours is called.
    """

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any) -> Any:
        """What gradio makes of a request's inputs, unless one of them lies elsewhere."""
        if any("://" in path for path in _paths(inputs)):
            raise gr.Error("this page fetches nothing; upload the file", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *rest)


def _paths(value: Any) -> Iterator[str]:
    """The paths of all files in a request, wherever they hide in it."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _paths(inner)


def theme() -> Any:
    """Colours and fonts; the fonts are the machine's own."""
    return gr.themes.Default(primary_hue="teal", font=FONTS, font_mono=["monospace"])


def page(studio: Studio, folder: Path) -> gr.Blocks:
    """The page around a studio; results are written to the folder."""
    found = examples(folder)
    with Page(title="vcm", analytics_enabled=False, delete_cache=(DAY, DAY)) as blocks:
        gr.Markdown("# vcm\nSay what matters in a photo. The bits go there.")
        with gr.Tab("Photo"):
            photo.tab(studio, found, folder)
        with gr.Tab("Task"):
            tasks.tab(studio, found, folder)
        with gr.Tab("Open a .vcm"):
            opened.tab(studio)
    return blocks


def launch(studio: Studio, folder: Path, host: str, port: int, largest: int, browser: bool) -> None:
    """Serve the page until it is stopped; `largest`: bytes of an upload."""
    page(studio, folder).queue(max_size=WAITING).launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=browser,
        max_file_size=largest,
        theme=theme(),
        css=CSS,
        footer_links=[],
        ssr_mode=False,  # it would need node
        show_error=True,
        quiet=True,
    )
