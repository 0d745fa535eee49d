"""The second tab: a task over a few photos."""

from pathlib import Path
from typing import Any, Final

import gradio as gr

from vcm.errors import SpecError
from vcm.task import task_names
from vcm.web import study
from vcm.web.parts import HIGH, Example, Shown, picture, said, uploaded
from vcm.web.studio import Studio

HELP: Final = (
    "Codes a few photos at many rates and shows them to a task model. Without labels the score is "
    "the agreement of the model with itself on the originals. It takes a minute or so."
)
DONE: Final = "Done. Up and to the left is better: as much accuracy for fewer bits."


def tab(studio: Studio, examples: list[Example], folder: Path) -> None:
    """Lay it out; one study runs at a time, others wait."""
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photos = _photos(examples)
            asked = _asked(studio)
            button = gr.Button("Measure", variant="primary", elem_id="measure")
        with gr.Column(scale=2, min_width=300):
            says = gr.Markdown(HELP, elem_id="study-says", min_height=HIGH)
            with gr.Column(visible=False) as results:
                plot = picture("rate and accuracy", "plot")
                table = gr.Code(label="bits that the model needs", interactive=False, language=None)
                report = gr.DownloadButton("Download the whole page", elem_id="report")

    def run(
        photos: list[str] | None, task: str, own: str | None, name: str, codecs: list[str],
        progress: Any = gr.Progress(),  # noqa: B008 - how gradio finds it
    ) -> Shown:  # fmt: skip
        if name not in _models(studio) or not set(codecs or []) <= set(study.CODECS):
            raise SpecError("Choose a model and codecs that the page offers.")  # a request may not
        mine = str(uploaded(own, folder)) if own else task
        files = [str(uploaded(path, folder)) for path in photos or []]
        ours = studio.weights, studio.roi, studio.device
        wanted = study.Wanted(mine, name, files, codecs, *ours)
        done = study.study(wanted, folder, lambda share, what: progress(share, desc=what))
        link = gr.DownloadButton(value=str(done.page))
        told = "\n\n".join((DONE, *done.notes))
        return {says: told, plot: str(done.plot), table: "\n".join(done.lines), report: link}

    button.click(
        said(run, says, results),
        [photos, *asked],
        [says, results, plot, table, report],
        show_progress_on=says,
        concurrency_limit=1,
        api_name="study",
    )


def _photos(examples: list[Example]) -> gr.File:
    photos = gr.File(
        label="Photos", file_count="multiple", file_types=["image"], height=160, elem_id="photos"
    )
    if examples:
        paths = [path for path, _ in examples]
        gr.Examples(
            [[paths]], photos, label="No photos at hand?", example_labels=[f"{len(paths)} photos"]
        )
        photos.keep_in_cache.update(paths)  # uploads are deleted in time
    return photos


def _models(studio: Studio) -> list[str]:
    """No names of the visitor's: loading a checkpoint can run what is in it."""
    return list(dict.fromkeys((studio.model, "embedded")))


def _asked(studio: Studio) -> list[Any]:
    models = [(Path(model).name, model) for model in _models(studio)]
    return [
        gr.Dropdown(task_names(), value="coco-person", label="Task", elem_id="task"),
        gr.File(
            label="or a task file of your own (TOML)", file_types=[".toml"], height=140,
            elem_id="task-file",
        ),
        gr.Dropdown(models, value=studio.model, label="Model", info="others: vcm serve --model"),
        gr.CheckboxGroup(
            study.CODECS, value=list(study.CHOSEN), label="Codecs", elem_id="codecs"
        ),
    ]  # fmt: skip
