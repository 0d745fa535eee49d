"""The page: three tabs in a frame."""

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


def theme() -> Any:
    """Colours and fonts; the fonts are the machine's own."""
    return gr.themes.Default(primary_hue="teal", font=FONTS, font_mono=["monospace"])


def page(studio: Studio, folder: Path) -> gr.Blocks:
    """The page around a studio; results are written to the folder."""
    found = examples(folder)
    with gr.Blocks(title="vcm", analytics_enabled=False, delete_cache=(DAY, DAY)) as blocks:
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
