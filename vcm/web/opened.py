"""The third tab: a .vcm file back to a picture."""

import json
from pathlib import Path
from typing import Final

import gradio as gr

from vcm.web.parts import HIGH, Shown, picture, said
from vcm.web.studio import Studio

HELP: Final = "Drop a .vcm file. It holds all that its picture needs: no words, no mask."


def tab(studio: Studio) -> None:
    """Lay it out."""
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            file = gr.File(label="A .vcm file", file_types=[".vcm"], height=160, elem_id="vcm-file")
        with gr.Column(scale=3, min_width=300):
            says = gr.Markdown(HELP, elem_id="open-says", min_height=HIGH)
            with gr.Column(visible=False) as results:
                place = picture("the picture in it", "opened")
                inside = gr.Code(label="what the file says", language="json", interactive=False)

    def show(path: str | None) -> Shown:
        if path is None:
            return {says: HELP, results: gr.Column(visible=False)}
        decoded, described = studio.opened_file(Path(path).read_bytes())
        height, width = decoded.shape[:2]
        return {
            says: f"{Path(path).name}: {width} x {height} pixels.",
            place: decoded,
            inside: json.dumps(described, indent=1),
        }

    file.change(
        said(show, says, results),
        file,
        [says, results, place, inside],
        show_progress_on=says,
        api_name="decode",
    )
