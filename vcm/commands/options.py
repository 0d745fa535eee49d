"""Options that several commands share, and those of the command that has the most."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from vcm.commands import completion

F = TypeVar("F", bound=Callable[..., Any])
BACKENDS: Final = ("embedded", "clipseg", "grounding", "segmenter")
ON_EMPTY: Final = ("whole", "background", "error")
PATH: Final = click.Path(path_type=Path)

weights = click.option(
    "--weights", default="base", metavar="NAME", show_default=True,
    shell_complete=completion.weights,
    help="Codec model: a built-in name or a file. Both ends need the same.",
)  # fmt: skip
json = click.option("--json", "as_json", is_flag=True, help="Report as one line of JSON.")
config = click.option("--config", required=True, type=PATH, help="A TOML file, see configs/.")


def output(text: str) -> Callable[[F], F]:
    """The required `-o`, with its help."""
    return click.option("-o", "--output", required=True, type=PATH, help=text)


def roi(command: F) -> F:
    """The options that say what matters in a picture: those of `RoiOptions`."""
    return _all(_ROI, command)


def rate(command: F) -> F:
    """The options that say how many bits a picture gets."""
    return _all(_RATE, command)


def page(command: F) -> F:
    """The options of the web page."""
    return _all(_PAGE, command)


def evaluation(command: F) -> F:
    """The options of `vcm eval`."""
    return _all(_EVAL, command)


def _all(options: Sequence[Callable[[F], F]], command: F) -> F:
    """The command with these options, in their order."""
    for option in reversed(options):
        command = option(command)
    return command


_ROI: Final = (
    click.option("--text", metavar="WORDS",
                 help='What matters: "person, dog" is both, "vehicle -bus" leaves buses out.'),
    click.option("--task", metavar="TASK", shell_complete=completion.tasks,
                 help="Words, tau and sigma together: a built-in task such as coco-person, or a "
                 "TOML file such as ./mine.toml."),
    click.option("--mask", type=PATH,
                 help="What matters is white in this picture, which has the same size."),
    click.option("--box", multiple=True, metavar="X,Y,W,H",
                 help="What matters is in this box: left, top, width, height in pixels. May be "
                 "given several times."),
    click.option("--sigma", type=float, metavar="NUMBER",
                 help="How much the rest matters, over 0, at most 1: 1 as much as the ROI, 0.03 "
                 "hardly. Default: the task's, or 0.1."),
    click.option("--tau", type=float, metavar="NUMBER",
                 help="How sure the words must be, between 0 and 1: lower finds more. Default: "
                 "the task's, or the backend's."),
    click.option("--dilation", type=int, metavar="PIXELS",
                 help="Grow what the words find by so much. Default: the task's, or 0."),
    click.option("--detail", type=click.IntRange(1, 2),
                 help="2: the built-in network looks twice, the second time closely: it finds "
                 "smaller things and takes some four times as long. Default: the task's, or 1."),
    click.option("--on-empty", type=click.Choice(ON_EMPTY), default="whole", show_default=True,
                 help="If the words match nothing: code the whole picture evenly, all of it as "
                 "background, or stop."),
    click.option("--roi-backend", type=click.Choice(BACKENDS), default="embedded",
                 show_default=True,
                 help="What turns words into a mask: the built-in network, CLIPSeg or an "
                 "open-vocabulary detector (any words), or a YOLO segmentation model."),
    click.option("--roi-weights", metavar="NAME",
                 help="Hub name, folder or file of the backend's model. Default: its own."),
)  # fmt: skip

_RATE: Final = (
    click.option("--quality", type=float, metavar="NUMBER",
                 help="0 (smallest file) to 100 (best picture). Default: 50."),
    click.option("--bpp", type=float, metavar="NUMBER",
                 help="Instead of quality: bits per pixel that the file should have."),
    click.option("--bytes", "size", type=int, metavar="NUMBER",
                 help="Instead of quality: bytes that the file should have."),
    click.option("--effort", type=int, default=0, metavar="STEPS",
                 help="Search so many steps for a better file: 60 save about 4 % of the bytes and "
                 "take some hundred times as long. Decoding is as ever."),
)  # fmt: skip

_PAGE: Final = (
    click.option("--model", default="embedded", show_default=True, metavar="MODEL",
                 help="Task model that looks at the pictures, as for vcm eval: yolo11n.pt."),
    click.option("--port", type=int, default=7860, show_default=True, metavar="NUMBER",
                 help="Where to listen, see the address that is printed."),
    click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                 help="0.0.0.0 lets other machines in: no password is asked."),
    click.option("--upload", type=click.IntRange(1, 1024), default=32, show_default=True,
                 metavar="MIB", help="Largest file that the page takes."),
    click.option("--browser/--no-browser", default=True, help="Open a browser."),
)  # fmt: skip

_EVAL: Final = (
    click.option("--task", metavar="TASK", shell_complete=completion.tasks,
                 help="A built-in task such as coco-person, or a TOML file."),
    click.option("--text", metavar="WORDS", help="Instead of a task: words for the ROI."),
    click.option("--model", metavar="MODEL",
                 help="Task model: yolo11n.pt, or ADAPTER:WEIGHTS (yolo, rcnn, hf, torchvision, "
                 "onnx, tflite, embedded). Default: the task's."),
    click.option("--data", required=True, type=PATH,
                 help="A folder with instances.json (COCO) and images/, a COCO .json file, or any "
                 "photos."),
    click.option("--only", metavar="FIELD=VALUE", help="The COCO images whose entry says so."),
    click.option("--photos", type=int, metavar="NUMBER", help="So many of them, evenly spaced."),
    click.option("--codecs", default="vcm,vcm:sigma=1,x265,x265+roi", show_default=True,
                 metavar="LIST", shell_complete=completion.listed(completion.CODECS),
                 help="What is compared: vcm[:sigma=S], jpeg, webp, jpeg2000, avif, x265, svt-av1, "
                 "vvenc, kvazaar, CompressAI's names; with +roi (QP map), +blur, +flat or +two "
                 "(two streams)."),
    click.option("--roi", default="embedded", show_default=True,
                 type=click.Choice((*BACKENDS, "truth")),
                 help="Where the ROI comes from: words by one of the backends, or what people "
                 "drew."),
    click.option("--roi-weights", metavar="NAME", help="Weights of the backend."),
    click.option("--on-empty", type=click.Choice(("whole", "background")), default="whole",
                 show_default=True,
                 help="Where the words match nothing: code the picture evenly, or all of it as "
                 "background."),
    weights,
    output("A folder: results.json, pictures.csv, index.html and plots."),
    click.option("--reference", metavar="CODEC",
                 help="BD-rates are against it. Default: not ours."),
    click.option("--workers", type=int, default=max(1, os.cpu_count() or 1), metavar="NUMBER",
                 help="Processes. Default: one a core."),
    click.option("--cache", type=PATH,
                 help="Folder of coded files. Default: ~/.cache/vcm/files."),
    click.option("--no-cache", is_flag=True, help="Keep no coded files."),
    click.option("--wandb", metavar="PROJECT", help="Log tables, plots and files to W&B as well."),
    click.option("--unchecked", is_flag=True,
                 help="Go on if the uncompressed score is unexpected."),
)  # fmt: skip
