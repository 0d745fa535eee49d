"""The first tab: a photo, words and sliders; the file, and both pictures."""

import math
from pathlib import Path
from typing import Any, Final

import gradio as gr

from vcm import draw
from vcm.errors import SpecError
from vcm.files import write_atomic
from vcm.web.parts import HIGH, Example, Shown, picture, place, said, uploaded
from vcm.web.studio import Choice, Comparison, Rendition, Studio

AT_ONCE: Final = 2  # photos that are worked on side by side
SIDE: Final = 1_600  # pixels of a picture that is shown: every touch writes six of them
LOOK_ONLY: Final[Any] = ["fullscreen"]  # no download of what may be shrunk: the .vcm is whole
HELP: Final = """
1. Drop a photo, or take an example below it.
2. Say in words what matters in it.
3. Move the sliders, and look: the size of the file, the picture in it beside one coded evenly (in
   as many bytes, if possible), where the bits went, and what a task model sees.

Photos stay on the machine that runs this page.
"""
# In a narrow window what the page says is far below the words.
LOOK: Final = "() => innerWidth < 640 && document.getElementById('says').scrollIntoView()"
HEAD: Final = (
    "| coded | bytes | bpp | ROI dB | background dB | whole dB |\n|---|--:|--:|--:|--:|--:|\n"
)


def tab(studio: Studio, examples: list[Example], folder: Path) -> None:
    """Lay it out; every touch codes the photo again."""
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photo, words = _photo(examples)
            sliders = _sliders(studio.tau, studio.looks_twice)
            button = gr.Button("Encode", variant="primary")
        with gr.Column(scale=3, min_width=300):
            says = gr.Markdown(HELP, elem_id="says", min_height=HIGH)
            with gr.Column(visible=False) as results:
                places = _results()

    def show(
        photo: dict[str, Any] | None, words: Any, sigma: Any, tau: Any, closely: Any, quality: Any,
        size: Any,
        progress: Any = gr.Progress(),  # noqa: B008 - how gradio finds it
    ) -> Shown:  # fmt: skip
        if not photo or not photo.get("path"):
            return {says: HELP, results: gr.Column(visible=False)}
        choice = chosen(words, sigma, tau, closely, quality, size)
        path = uploaded(photo["path"], folder)
        compared = studio.compared(path, choice, lambda share, what: progress(share, desc=what))
        file = place(folder, f"{path.stem}.vcm")
        write_atomic(file, compared.roi.data)
        values = ("\n\n".join(compared.notes), *_values(compared, file))
        return dict(zip((says, *places), values, strict=True))

    gr.on(
        [photo.change, words.submit, *(s.change for s in sliders[:-1]),
         sliders[-1].submit, button.click],
        said(show, says, results),
        [photo, words, *sliders],
        [says, results, *places],
        show_progress_on=says,
        preprocess=False,  # the file as it came: what is wrong with it is ours to say
        concurrency_limit=AT_ONCE,
        trigger_mode="always_last",  # a slider that is moved on needs only its last place
        api_name="encode",
    )  # fmt: skip
    gr.on([words.submit, button.click], js=LOOK, fn=None)


def chosen(words: Any, sigma: Any, tau: Any, closely: Any, quality: Any, size: Any) -> Choice:
    """What a request asks for; a box that was cleared has None, a request by hand has anything.

    Raises:
        SpecError: if a number is none; the sizes of numbers are the studio's to check.
    """
    numbers = {"sigma": sigma, "tau": tau, "quality": quality, "size": size or 0}
    kinds = (int, float)
    wrong = [k for k, v in numbers.items() if not isinstance(v, kinds) or not math.isfinite(v)]
    if wrong:
        raise SpecError(f"{', '.join(wrong)}: expected a number")
    return Choice(str(words or ""), sigma, tau, quality, int(size or 0) or None, bool(closely))


def _photo(examples: list[Example]) -> tuple[gr.Image, gr.Textbox]:
    photo = gr.Image(
        label="Photo", type="filepath", sources=["upload", "clipboard"], height=240, elem_id="photo"
    )
    words = gr.Textbox(
        "person", label="What matters", elem_id="words", render=False,
        info='such as "person, dog", "vehicle -bus", "face" or "license plate"; Enter to try',
    )  # fmt: skip
    if examples:
        gr.Examples(
            [list(one) for one in examples], [photo, words], visible_columns=[1],
            label="No photo at hand?", elem_id="examples",
        )  # fmt: skip
        photo.keep_in_cache.update(path for path, _ in examples)  # uploads are deleted in time
    words.render()
    return photo, words


def _sliders(tau: float, twice: bool) -> list[Any]:
    return [
        gr.Slider(
            0.01, 1, 0.1, step=0.01, label="sigma", elem_id="sigma",
            info="how much the rest matters",
        ),
        gr.Slider(
            0.02, 0.98, tau, step=0.01, label="tau", elem_id="tau",
            info="lower finds more",
        ),
        gr.Checkbox(
            False, label="look twice", info="finds smaller things, takes longer", visible=twice,
        ),
        gr.Slider(
            0, 100, 50, step=1, label="quality", elem_id="quality",
            info="100: best picture",
        ),
        gr.Number(
            0, label="or a size in bytes", info="0: as quality says; Enter to try", precision=0,
            minimum=0, elem_id="size",
        ),
    ]  # fmt: skip


def _results() -> tuple[Any, ...]:
    numbers = gr.Markdown(elem_id="numbers")
    both = gr.ImageSlider(
        format="png", elem_id="both", elem_classes="shown", interactive=False, buttons=LOOK_ONLY,
    )  # fmt: skip
    file = gr.DownloadButton("Download the .vcm", variant="primary", elem_id="download")
    with gr.Row():
        outlined = picture("the region", "region", LOOK_ONLY)
        heat = picture("where the bits went", "heat", LOOK_ONLY)
    with gr.Row():
        before = picture("what the model sees in the original", "before", LOOK_ONLY)
        after = picture("what the model sees in the decoded picture", "after", LOOK_ONLY)
    return numbers, both, file, outlined, heat, before, after


def _values(compared: Comparison, file: Path) -> tuple[Any, ...]:
    """What the places of the results show."""
    pictures = (compared.roi.picture, compared.even.picture, compared.outlined, compared.heat)
    roi, even, *others = (draw.within(p, SIDE) for p in (*pictures, *compared.seen))
    return (
        HEAD + "\n".join(_row(coded) for coded in (compared.roi, compared.even)),
        gr.update(value=(roi, even), label=_sides(compared.times)),
        str(file),
        *others,
    )


def _sides(times: float) -> str:
    size = "as many bytes" if times == 1 else f"{times:g} times the bytes"
    return f"left: coded for the words; right: evenly, in {size}"


def _row(coded: Rendition) -> str:
    label, size, bpp, *decibels = coded.numbers
    # nan: there is no such part; inf: it is as before
    cells = (f"{v:.1f}" if math.isfinite(v) else "–" for v in decibels)
    return f"| {label} | {size:,} | {bpp:.3f} | {' | '.join(cells)} |"
