"""The command line. Each command imports what it needs when it runs: `vcm info` needs no torch."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from vcm.commands import completion, options, reading
from vcm.commands.group import Group
from vcm.commands.options import PATH
from vcm.errors import MissingExtra

Report = dict[str, Any]


@click.group(
    "vcm",
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`vcm COMMAND --help` says more of each.",
)
@click.version_option(package_name="vcm", message="vcm %(version)s")
def cli() -> None:
    """Image compression for machines, steered by words.

    \b
    vcm encode photo.jpg --text "person, dog" -o photo.vcm
    vcm decode photo.vcm -o photo.png
    vcm info photo.vcm
    """


@cli.command(short_help="Compress a picture, or a set of any size.")
@click.argument("source", type=PATH)
@options.output("The .vcm file, a folder, or tar shards such as out-%05d.tar.")
@options.roi
@options.rate
@click.option("--store-text", is_flag=True, help="Keep the words in the file (costs their bytes).")
@click.option("--overwrite", is_flag=True, help="With many pictures: anew, over what is there.")
@options.many
@reading.options
@options.weights
@options.json
def encode(source: Path, output: Path, **values: Any) -> None:
    """Compress a picture to a .vcm file, or a set of pictures to a folder or to tar shards.

    The bits go where --text, --task, --mask or --box say (the ROI, region of interest); without
    any of them the whole picture is coded evenly. A set is a folder, a COCO .json file, tar shards
    of WebDataset, or hf:NAME[:SPLIT] of the Hugging Face hub. Stopped, the same command goes on
    where it was. With --workers, --ray, shards or a set that is no folder, manifest.jsonl says
    what became of each picture; a changed picture, or changed options, are done again then.

    Pictures are turned as EXIF says; transparency is drawn over white, colour profiles are ignored,
    of an animation the first picture is taken. EXIF and other metadata are not kept.

    \b
    vcm encode photo.jpg --text "person, dog" --sigma 0.1 -o photo.vcm
    vcm encode photo.jpg --box 48,384,208,528 --bytes 12000 -o photo.vcm
    vcm encode PHOTOS/ --task coco-person -o OUT/
    vcm encode "in-{000..009}.tar" --text person --workers 4 -o out-%05d.tar
    """
    from vcm.commands import batch
    from vcm.commands import encode as command

    way = batch.Way(**{name: values.pop(name) for name in batch.WAY})
    report = command.run(source, output, command.Options(**values), way)
    _finish(report, values["as_json"], command.lines)


@cli.command(short_help="Turn .vcm files back into pictures.")
@click.argument("source", type=PATH)
@options.output("The picture (.png, .jpg, .webp, .tif, .bmp or .ppm), or a folder.")
@click.option("--overwrite", is_flag=True, help="With a folder: over what is there.")
@options.many
@options.weights
@options.device
@options.json
def decode(source: Path, output: Path, overwrite: bool, as_json: bool, **values: Any) -> None:
    """Turn a .vcm file back into a picture, or a folder or tar shards of them into PNG pictures.

    Needs no words, no mask, no language model.
    """
    from vcm.commands import batch
    from vcm.commands import decode as command

    how = command.Decoding(values.pop("weights"), values.pop("device"))
    report = command.run(source, output, how, overwrite, batch.Way(**values))
    _finish(report, as_json, command.lines)


@cli.command(short_help="Show what a .vcm file says of itself.")
@click.argument("source", type=PATH)
@options.json
def info(source: Path, as_json: bool) -> None:
    """Show what a .vcm file says of itself: size, rate, quality, model, map, words if stored."""
    from vcm.commands import info as command

    _finish(command.run(source), as_json, lambda report: _table(command.readable(report)))


@cli.command(short_help="Show what words, a mask or boxes select in a picture.")
@click.argument("source", type=PATH)
@options.output("A picture that shows outline, similarity and mask.")
@click.option("--save-mask", type=PATH, help="The mask alone, as `vcm encode --mask` takes it.")
@options.roi
@reading.options
@options.json
def roi(source: Path, output: Path, save_mask: Path | None, as_json: bool, **values: Any) -> None:
    """Show what the words (or mask, or boxes) select in a picture; the map of a .vcm file.

    \b
    vcm roi photo.jpg --text person -o roi.png --save-mask mask.png
    vcm roi photo.vcm -o map.png
    """
    from vcm.commands import roi as command

    how = values.pop("reading")
    report = command.run(source, output, save_mask, command.RoiOptions(**values), how)
    _finish(report, as_json, _table)


@cli.command(short_help="The main job on three real photos, as a table and a sheet.")
@click.option("-o", "--output", default="out", show_default=True, type=PATH,
              help="A folder for the files, the pictures and the sheet.")  # fmt: skip
@click.option(
    "--model", metavar="FILE", help="A YOLO checkpoint whose boxes are drawn (needs vcm[yolo])."
)
@options.weights
def demo(output: Path, model: str | None, weights: str) -> None:
    """The main job on three real photos: words, file, picture, numbers.

    Prints a table and draws a sheet, demo.png, of both ways to spend the same bytes.
    """
    from vcm.commands import demo as command

    for line in command.run(output, model, weights):
        click.echo(line)


@cli.command(short_help="Time our codec beside others.")
@click.argument("photo", type=PATH)
@options.cases
@click.option("--json", "as_json", is_flag=True, help="Report a line of JSON for each case.")
def bench(
    photo: Path, megapixels: tuple[float, ...], codec: tuple[str, ...], text: str, as_json: bool
) -> None:
    """Time our codec beside others on a photo, enlarged; each in a process of its own."""
    from vcm.commands import bench as command

    measured = command.run(photo, megapixels, codec or command.CASES, text)
    if as_json:
        for timed in measured:
            click.echo(json.dumps(timed._asdict()))
        return
    for line in command.table(measured):
        click.echo(line)


@cli.command("eval", short_help="How many bits does a task model need?")
@options.evaluation
@reading.images
@reading.options
@options.json
def evaluate(output: Path, as_json: bool, **values: Any) -> None:
    """Answer "how many bits does my detector need?" on a folder of photos.

    Codes the photos at many rates, shows them to the task model, and writes a folder with
    results.json, a page (index.html), plots and a table of pictures. Stopped, the same command
    goes on where it was.

    \b
    vcm eval --task coco-person --model yolo11n.pt --data coco213 -o out/person
    vcm eval --text dog --model yolo11n.pt --data PHOTOS/ --codecs vcm,avif -o out/dogs
    """
    from vcm.commands import eval as command

    report = command.run(output, command.Options(**values), lambda line: click.echo(line, err=True))
    _finish(command.to_json(report), as_json, lambda _: command.lines(report))
    click.echo(f"wrote {output / 'index.html'} (open it)", err=True)


@cli.command(short_help="Try words, sigma and rates on a page in the browser.")
@options.weights
@options.page
def serve(**values: Any) -> None:
    """Open a page: drop a photo, type words, move sigma, tau and quality, and look.

    \b
    vcm serve
    vcm serve --model yolo11n.pt
    """
    from vcm.web import serve as command

    command.run(**values, say=click.echo)


@cli.command()
@options.config
@click.argument("changes", nargs=-1, metavar="[TABLE.KEY=VALUE]...")
@click.option("--dry-run", is_flag=True, help="Say what would be done: steps, time, memory.")
def train(config: Path, changes: tuple[str, ...], dry_run: bool) -> None:
    """Train the codec, or go on where a run stopped.

    Values after the config win over it, and the run's folder is named after them too. Several
    processes or machines: accelerate launch -m vcm train --config FILE.

    \b
    vcm train --config configs/base.toml
    vcm train --config configs/task_yolo.toml task.mu=1000
    """
    from vcm.train.config import load

    wanted = load(config, changes)
    if find_spec("accelerate") is None:
        raise MissingExtra("accelerate", "train")
    if dry_run:
        from vcm.train.plan import plan

        _finish(plan(wanted), False, _table)
        return
    from vcm.commands import train as command

    command.run(wanted)


@cli.command("train-roi")
@options.config
def train_roi(config: Path) -> None:
    """Train the network that turns words into masks."""
    from vcm.train import roi as command

    command.main(config)


@cli.command(short_help="Make a weight file of a training checkpoint.")
@click.argument("checkpoint", type=PATH)
@options.output("The weight file (.safetensors).")
@click.option("--photos", type=PATH, help="Photos that the coding tables are fitted to: a folder.")
@click.option(
    "--encoder-of",
    metavar="NAME",
    help="The encoder alone, for the decoder of this model, which reads its files as before.",
)
def release(checkpoint: Path, output: Path, photos: Path | None, encoder_of: str | None) -> None:
    """Make a weight file (float16, with coding tables) of a training checkpoint.

    \b
    vcm release runs/base/final.ckpt -o codec.safetensors
    """
    from vcm.train.release import release as run

    _finish(dict(run(checkpoint, output, photos, encoder_of)), False, _table)


@cli.command("export", short_help="Write the codec as ONNX, or as a bundle for a camera.")
@options.output("A folder for the networks and codec.json, or for the bundle.")
@options.weights
@options.exporting
@options.json
def export_(output: Path, as_json: bool, **values: Any) -> None:
    """Write the networks of encoder and decoder as ONNX, with the coding tables beside them.

    A device that has onnxruntime and no torch decodes files with them. With --bundle it encodes
    too, with words, boxes or a mask: the folder has a program of its own, vcm_edge.py.

    \b
    vcm export -o onnx --check photo.jpg
    vcm export --bundle -o edge --words "person, car"
    """
    from vcm.commands import export as command

    _finish(command.run(output, **values), as_json, command.lines)


@cli.command(short_help="Say what is installed, what is missing and how to get it.")
@options.json
def doctor(as_json: bool) -> None:
    """Say what is there: versions, devices, extras, models, encoders.

    For each thing that is missing there is one sentence that says how to get it.
    """
    from vcm.commands import doctor as command

    _finish(command.run(), as_json, command.lines)


@cli.command("completion", short_help="Print a script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(completion.SHELLS))
def completion_(shell: str) -> None:
    """Print the script by which a shell completes commands, options, tasks and files.

    \b
    vcm completion bash >> ~/.bashrc
    vcm completion zsh >> ~/.zshrc
    vcm completion fish > ~/.config/fish/completions/vcm.fish
    """
    click.echo(completion.script(cli, shell))


def _table(report: Report) -> list[str]:
    """One line for each entry."""
    width = max(len(key) for key in report)
    return [
        f"{key:<{width}}  {_plain(value)}" for key, value in report.items() if value is not None
    ]


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _finish(report: Report, as_json: bool, lines: Callable[[Report], list[str]]) -> None:
    """Print a report; exit code 2 if files of a folder failed."""
    piped = report.get("file") == "/dev/stdout"  # standard output is the file itself
    for line in [json.dumps(report)] if as_json else lines(report):
        click.echo(line, err=piped)
    if report.get("failed"):
        sys.exit(2)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; ends by SystemExit with 0, or 2 for any error of the caller's."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no text
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn their programmers, not our users
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("vcm: %(message)s"))
    logger = logging.getLogger("vcm")
    logger.addHandler(handler)
    logger.propagate = False  # a library may have configured the root to print too
    cli(args=argv, prog_name="vcm")


if __name__ == "__main__":
    main()
