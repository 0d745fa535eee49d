"""The page: three tabs, and what happens when a person touches something."""

import json
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import gradio as gr

from vcm.errors import VcmError
from vcm.task import task_names
from vcm.web import study
from vcm.web.studio import Choice, Coded, Outcome, Studio

DAY: Final = 86_400  # seconds that uploads and results are kept
HEADERS: Final = ["coded", "bytes", "bpp", "ROI dB", "background dB", "whole dB"]
FONTS: Final = ["system-ui", "sans-serif"]  # on the machine: nothing comes from the network
BUTTONS: Final[Any] = ["download", "fullscreen"]  # no sharing: nothing leaves the machine
AT_ONCE: Final = 2  # pictures that are worked on side by side
CSS: Final = "footer {display: none !important} .numbers {font-variant-numeric: tabular-nums}"


def theme() -> Any:
    """Colours and fonts; the fonts are the machine's own."""
    return gr.themes.Default(primary_hue="teal", font=FONTS, font_mono=["monospace"])


def page(studio: Studio, model: str | None) -> gr.Blocks:
    """The page around a studio; `model` is the task model's name, for the second tab."""
    with gr.Blocks(title="vcm", analytics_enabled=False, delete_cache=(DAY, DAY)) as blocks:
        gr.Markdown("# vcm\nSay what matters in a photo. The bits go there.")
        with gr.Tab("Photo"):
            _photo(studio)
        with gr.Tab("Task over photos"):
            _study(model)
        with gr.Tab("Open a .vcm"):
            _open(studio)
    return blocks


def _photo(studio: Studio) -> None:
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photo = gr.Image(
                label="Photo", type="filepath", sources=["upload", "clipboard"], height=240
            )
            words = gr.Textbox("person", label="What matters", info='"person, dog", "vehicle -bus"')
            sigma = gr.Slider(0.01, 1, 0.1, step=0.01, label="sigma", info="of the rest; 1: even")
            tau = gr.Slider(0.02, 0.98, studio.tau, step=0.01, label="tau", info="lower finds more")
            closely = gr.Checkbox(False, label="look twice", info="finds smaller things, slower")
            quality = gr.Slider(0, 100, 40, step=1, label="quality")
            size = gr.Number(0, label="or bytes", info="0: as quality says", precision=0, minimum=0)
            button = gr.Button("Encode", variant="primary")
        with gr.Column(scale=3, min_width=300):
            says = gr.Markdown("Choose a photo.", elem_id="says")
            numbers = gr.Dataframe(
                headers=HEADERS, interactive=False, elem_classes="numbers", elem_id="numbers"
            )
            both = gr.ImageSlider(
                label="left: coded for the words; right: evenly, in as many bytes",
                format="png", elem_id="both", interactive=False,
            )  # fmt: skip
            file = gr.DownloadButton("Download the .vcm", interactive=False, elem_id="download")
            with gr.Row():
                outlined = gr.Image(
                    label="the region", interactive=False, buttons=BUTTONS, elem_id="region"
                )
                heat = gr.Image(
                    label="where the bits went", interactive=False, buttons=BUTTONS, elem_id="heat"
                )
            with gr.Row(visible=studio.model is not None):
                before = gr.Image(
                    label="the model on the original", interactive=False, buttons=BUTTONS
                )
                after = gr.Image(
                    label="the model on the decoded picture", interactive=False, buttons=BUTTONS
                )

    def show(photo: str | None, words: str, *values: Any) -> tuple[Any, ...]:
        if photo is None:
            return "Choose a photo.", *[gr.skip()] * 7
        sigma, tau, closely, quality, size = values
        choice = Choice(words, sigma, tau, quality, int(size) if size else None, closely)
        return _shown(studio.outcome(photo, choice))

    gr.on(
        [photo.change, words.submit, sigma.release, tau.release, closely.input, quality.release,
         size.submit, button.click],
        _said(show, 8),
        [photo, words, sigma, tau, closely, quality, size],
        [says, numbers, both, file, outlined, heat, before, after],
        concurrency_limit=AT_ONCE,
        trigger_mode="always_last",  # a slider that is moved on needs only its last place
        api_name="encode",
    )  # fmt: skip


def _shown(outcome: Outcome) -> tuple[Any, ...]:
    path = Path(tempfile.mkdtemp(prefix="vcm-page-")) / "photo.vcm"
    path.write_bytes(outcome.roi.data)
    before, after = outcome.seen or (None, None)
    return (
        "\n\n".join(outcome.notes),
        [_row(outcome.roi), _row(outcome.even)],
        (outcome.roi.picture, outcome.even.picture),
        gr.DownloadButton(value=str(path), interactive=True),
        outcome.outlined,
        outcome.heat,
        before,
        after,
    )


def _row(coded: Coded) -> list[str]:
    label, size, bpp, *decibels = coded.numbers
    return [label, str(size), f"{bpp:.3f}", *(f"{v:.1f}" for v in decibels)]


def _study(model: str | None) -> None:
    gr.Markdown(
        "Codes a few photos at several rates and shows them to a task model. Without labels the "
        "score is the agreement of the model with itself on the originals."
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photos = gr.File(label="Photos", file_count="multiple", file_types=["image"])
            task = gr.Dropdown(task_names(), value="coco-person", label="Task")
            own = gr.File(label="or a task file of your own (TOML)", file_types=[".toml"])
            name = gr.Textbox(model or "embedded", label="Model", info="as for vcm eval --model")
            codecs = gr.CheckboxGroup(study.CODECS, value=list(study.CHOSEN), label="Codecs")
            button = gr.Button("Measure", variant="primary", elem_id="measure")
        with gr.Column(scale=2, min_width=300):
            says = gr.Markdown("Choose photos.", elem_id="study-says")
            plot = gr.Image(
                label="rate and accuracy", interactive=False, buttons=BUTTONS, elem_id="plot"
            )
            table = gr.Code(label="bits that the model needs", interactive=False, language=None)
            report = gr.DownloadButton("Download the whole page", interactive=False)

    def run(
        photos: list[str] | None, task: str, own: str | None, name: str, codecs: list[str],
        progress: Any = gr.Progress(),  # noqa: B008 - how gradio finds it
    ) -> tuple[Any, ...]:  # fmt: skip
        done = study.study(
            own or task, name, photos or [], codecs,
            lambda share, what: progress(share, desc=what),
        )  # fmt: skip
        link = gr.DownloadButton(value=str(done.page), interactive=True)
        return "Done.", str(done.plot), "\n".join(done.lines), link

    button.click(
        _said(run, 4), [photos, task, own, name, codecs], [says, plot, table, report],
        concurrency_limit=1, api_name="study",
    )  # fmt: skip


def _open(studio: Studio) -> None:
    with gr.Row():
        file = gr.File(label="A .vcm file", file_types=[".vcm"], elem_id="vcm-file")
        with gr.Column(scale=2):
            says = gr.Markdown("Choose a file.", elem_id="open-says")
            picture = gr.Image(
                label="the picture in it",
                format="png",
                interactive=False,
                buttons=BUTTONS,
                elem_id="opened",
            )
            inside = gr.Code(label="what the file says", language="json", interactive=False)

    def show(path: str | None) -> tuple[Any, ...]:
        if path is None:
            return "Choose a file.", None, ""
        decoded, said = studio.opened_file(Path(path).read_bytes())
        height, width = decoded.shape[:2]
        return f"{width} x {height} pixels", decoded, json.dumps(said, indent=1)

    file.change(_said(show, 3), file, [says, picture, inside], api_name="decode")


def _said(work: Callable[..., tuple[Any, ...]], count: int) -> Callable[..., tuple[Any, ...]]:
    """Work whose errors become a sentence in the first of `count` places, the rest stays."""

    @wraps(work)
    def saying(*values: Any) -> tuple[Any, ...]:
        try:
            return work(*values)
        except VcmError as error:
            return f"**That does not work:** {error}", *[gr.skip()] * (count - 1)

    return saying
