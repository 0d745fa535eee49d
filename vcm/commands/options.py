"""Options that several commands share, and those of the command that has the most."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from vcm import plugin
from vcm.commands import completion

F = TypeVar("F", bound=Callable[..., Any])
BACKENDS: Final = ("embedded", "auto", "clipseg", "grounding", "segmenter")
ON_EMPTY: Final = ("whole", "background", "error")
PATH: Final = click.Path(path_type=Path)

weights = click.option(
    "--weights", default="base", metavar="NAME", show_default=True,
    shell_complete=completion.weights,
    help="Codec model: a built-in name (base, next, yolo11n), a file, or hf:OWNER/NAME of the "
    "Hugging Face hub. The decoder of base reads what base and yolo11n write; files of other "
    "models need these at both ends.",
)  # fmt: skip
made_with = click.option(
    "--weights", metavar="NAME", shell_complete=completion.weights,
    help="Codec model: a built-in name or a file. Default: the built-in one that the file was "
    "made with.",
)  # fmt: skip
roi_weights = click.option(
    "--roi-weights", metavar="NAME",
    help="Hub name, folder or file of the backend's model. Default: its own.",
)  # fmt: skip
device = click.option(
    "--device", type=click.Choice(("auto", "cpu", "cuda")), default="cpu", show_default=True,
    help="Device of the networks; auto: a GPU if there is one. Files of either decode on both.",
)  # fmt: skip
json = click.option("--json", "as_json", is_flag=True, help="Report as one line of JSON.")
config = click.option("--config", required=True, type=PATH, help="A TOML file, see configs/.")


class Named(click.Choice):  # type: ignore[type-arg] # older click has no such argument
    """One of some names, or "FILE.py:NAME" for a class of the caller's own."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name."""
        return value if plugin.is_plugin(value) else super().convert(value, param, ctx)


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


def cases(command: F) -> F:
    """The options that say what `vcm bench` times."""
    return _all(_CASES, command)


def many(command: F) -> F:
    """The options that say how many pictures are gone through: those of `batch.Way`."""
    return _all(_MANY, command)


def exporting(command: F) -> F:
    """The options that say what `vcm export` writes besides the networks."""
    return _all(_EXPORT, command)


def evaluation(command: F) -> F:
    """The options of `vcm eval`."""
    return _all(_EVAL, command)


def _all(options: Sequence[Callable[[F], F]], command: F) -> F:
    """The command with these options, in their order."""
    for option in reversed(options):
        command = option(command)
    return command


_LOOKS: Final = (
    "What turns words into a mask: embedded, the built-in network (default); segmenter, a YOLO "
    "segmentation model; auto, the model of --roi-weights (if present) for the words it knows, "
    "the built-in network for the rest; clipseg and grounding, which take any words."
)
_ROI: Final = (
    click.option("--text", metavar="WORDS",
                 help='What matters: "person, dog" is both, "vehicle -bus" leaves buses out, '
                 '"face: 1, person: 0.5" says how much.'),
    click.option("--task", metavar="TASK", shell_complete=completion.tasks,
                 help="Words, tau and sigma together: a built-in task such as coco-person, or a "
                 "TOML file such as ./mine.toml."),
    click.option("--mask", type=PATH,
                 help="What matters is white in this picture, which has the same size."),
    click.option("--mask-values", is_flag=True,
                 help="The mask is grey: how much each pixel matters, by its value over 255 (65535 "
                 "in a PNG of 16 bits). Black is outside."),
    click.option("--importance", metavar="MODEL",
                 help="What matters is also what a task model looks at: a checkpoint such as "
                 "yolo11n.pt, or learned, the built-in guess of what detectors look at."),
    click.option("--box", multiple=True, metavar="X,Y,W,H",
                 help="What matters is in this box: left, top, width, height in pixels of the "
                 "upright picture; what lies outside is cut off. May be given several times."),
    click.option("--sigma", type=float, metavar="NUMBER",
                 help="How much the rest matters, above 0 and at most 1: 1 is as much as the ROI, "
                 "0.03 hardly at all. Default: the task's, or 0.1."),
    click.option("--tau", type=float, metavar="NUMBER",
                 help="How sure the network must be, between 0 and 1: lower finds more. Default: "
                 "the task's, or the backend's."),
    click.option("--dilation", type=int, metavar="PIXELS",
                 help="Grow what the words find by this much. Default: the task's, or 0."),
    click.option("--detail", type=click.IntRange(1, 2),
                 help="2: the built-in network looks twice, the second time closely: it finds "
                 "smaller things and takes three to four times as long. Default: the task's, "
                 "or 1."),
    click.option("--on-empty", type=click.Choice(ON_EMPTY),
                 help="If the words match nothing, or the mask selects nothing: code the whole "
                 "picture evenly (default), all of it as background, or stop."),
    click.option("--roi-backend", type=Named(BACKENDS), help=_LOOKS),
    roi_weights,
    device,
)  # fmt: skip

_RATE: Final = (
    click.option("--quality", type=float, metavar="NUMBER",
                 help="0 (smallest file) to 100 (best picture). Default: 50."),
    click.option("--bpp", type=float, metavar="NUMBER",
                 help="Instead of --quality: target size in bits per pixel."),
    click.option("--bytes", "size", type=int, metavar="NUMBER",
                 help="Instead of --quality: target size in bytes."),
    click.option("--effort", type=int, default=0, metavar="STEPS",
                 help="Steps of a search for a smaller file of the same quality: 60 save about 4 % "
                 "of the bytes and take some 500 times as long. Decoding does not change."),
)  # fmt: skip

_CASES: Final = (
    click.option("--megapixels", multiple=True, type=float, default=(0.4, 4, 40),
                 show_default=True, metavar="NUMBER",
                 help="Size to measure at. May be given several times."),
    click.option("--codec", multiple=True, metavar="NAME",
                 help="Only this one. May be given several times. Default: ours, with and without "
                 "words, and six others."),
    click.option("--text", default="person", show_default=True, metavar="WORDS",
                 help="What ours looks for in the case with words: the photo must show it."),
)  # fmt: skip

_RAY: Final = click.option(
    "--ray", metavar="ADDRESS",
    help="Work on a Ray cluster: auto for this machine's, HOST:PORT, or local to start "
    "one here. Needs vcm[scale].",
)  # fmt: skip

_MANY: Final = (
    click.option("--workers", type=int, metavar="NUMBER",
                 help="With many pictures: worker processes. Default: one per core; from a folder "
                 "to a folder, none."),
    _RAY,
    click.option("--ordered/--unordered", default=False, show_default=True,
                 help="Write the files in the order of the source, or as they are finished. Shards "
                 "are always in order."),
    click.option("--per-shard", type=int, default=1000, show_default=True, metavar="NUMBER",
                 help="Pictures in a tar shard."),
)  # fmt: skip

_EXPORT: Final = (
    click.option("--bundle", is_flag=True,
                 help="A folder that encodes and decodes without torch: the networks, the words' "
                 "network, and a program."),
    click.option("--words", metavar="WORDS",
                 help="With --bundle: the words that it has to find. Default: all that are known."),
    click.option("--page", is_flag=True,
                 help="A folder that decodes in a browser, for any web server. It needs "
                 "onnxruntime-web: npm install onnxruntime-web."),
    click.option("--ort", type=PATH, metavar="FOLDER",
                 help="With --page: the dist folder of onnxruntime-web. Default: where npm put "
                 "it."),
    click.option("--check", type=PATH, metavar="PHOTO",
                 help="Encode this photo with torch, decode it with onnxruntime, and compare."),
)  # fmt: skip

_PAGE: Final = (
    click.option("--model", default="embedded", show_default=True, metavar="MODEL",
                 help="Task model that looks at the pictures, as for vcm eval: yolo11n.pt."),
    click.option("--roi-backend", type=Named(BACKENDS), default="embedded", show_default=True,
                 help=_LOOKS),
    roi_weights,
    device,
    click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True,
                 metavar="NUMBER", help="Port to listen on."),
    click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                 help="0.0.0.0 lets other machines connect; there is no password."),
    click.option("--upload", type=click.IntRange(1, 1024), default=32, show_default=True,
                 metavar="MIB", help="Largest file that the page accepts."),
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
                 help="A folder with instances.json (COCO) and images/, a COCO .json file, any "
                 "photos, or a clip."),
    click.option("--frames", metavar="FIRST:LAST",
                 help="Of a clip: these frames, counted from 0, LAST excluded."),
    click.option("--every", type=click.IntRange(min=1), default=5, show_default=True,
                 metavar="NUMBER", help="Of a clip: words are looked for in each n-th frame."),
    click.option("--only", metavar="FIELD=VALUE",
                 help="Only the COCO images whose entry has this value."),
    click.option("--photos", type=int, metavar="NUMBER",
                 help="Only this many of them, evenly spaced."),
    click.option("--codecs", default="vcm,vcm:sigma=1,x265,x265+roi", show_default=True,
                 metavar="LIST", shell_complete=completion.listed(completion.CODECS),
                 help="What is compared: vcm[:sigma=S], jpeg, webp, jpeg2000, avif, x265, svt-av1, "
                 "vvenc, kvazaar, CompressAI's names; with +roi (QP map), +blur, +flat or +two "
                 "(two streams). Of a clip: vcm, x264, x265, svt-av1, vvenc, kvazaar, as for "
                 "vcm encode, with :gop=random, low or intra."),
    click.option("--roi", default="embedded", show_default=True,
                 type=Named((*BACKENDS, "truth")),
                 help="Where the ROI comes from: the words by one of the backends, or truth, the "
                 "masks that people drew."),
    roi_weights,
    click.option("--on-empty", type=click.Choice(("whole", "background")), default="whole",
                 show_default=True,
                 help="Where the words match nothing: code the picture evenly, or all of it as "
                 "background."),
    weights,
    output("A folder: results.json, pictures.csv, index.html and plots."),
    click.option("--reference", metavar="CODEC",
                 help="What BD-rates are measured against. Default: the first not ours."),
    click.option("--workers", type=int, metavar="NUMBER",
                 help="Worker processes. Default: one per core."),
    _RAY,
    click.option("--cache", type=PATH,
                 help="Folder that keeps coded files. Default: ~/.cache/vcm/files."),
    click.option("--no-cache", is_flag=True, help="Keep no coded files."),
    click.option("--wandb", metavar="PROJECT", help="Log tables, plots and files to W&B as well."),
    click.option("--perceptual/--no-perceptual", default=True, show_default=True,
                 help="Also measure ST-LPIPS, LPIPS and DISTS. The weights of LPIPS and DISTS are "
                 "downloaded once (760 MB)."),
    click.option("--unchecked", is_flag=True,
                 help="Go on if the uncompressed score is unexpected."),
    device,
)  # fmt: skip
