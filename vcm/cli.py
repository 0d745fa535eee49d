"""The command line. Each command imports what it needs when it runs: `vcm info` needs no torch."""

import io
import json
import logging
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from vcm.commands import clips, completion, options, reading, streams, table, watching
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


@cli.command(short_help="Compress a picture, a set of any size, or a clip.")
@click.argument("source", type=PATH)
@options.output("The .vcm file, a folder, tar shards (out-%05d.tar), or of a clip: .vcms, .mp4.")
@options.roi
@options.rate
@click.option("--store-text", is_flag=True, help="Keep the words in the file (costs their bytes).")
@click.option("--overwrite", is_flag=True, help="With many pictures: replace existing files.")
@options.many
@reading.options
@options.weights
@options.json
@clips.encoding
def encode(source: Path, output: Path, **values: Any) -> None:
    """Compress a picture to a .vcm file, or a set of pictures to a folder or to tar shards.

    The bits go where --text, --task, --mask or --box say (the ROI, region of interest); without
    any of them the whole picture is coded evenly. A set is a folder, a COCO .json file, tar shards
    of WebDataset, or hf:NAME[:SPLIT] of the Hugging Face hub. If stopped, the same command
    continues where it left off. With --workers, --ray, shards or a set that is not a folder,
    manifest.jsonl says what became of each picture, and what has changed is done again.

    A clip (a file, a folder of frames, - for a pipe) becomes a .vcms stream, whose frames each
    decode alone; or by --codec a file that players open.

    Pictures are turned as EXIF says; transparency is drawn over white, colour profiles are ignored,
    of an animation the first picture is taken. EXIF and other metadata are not kept.

    \b
    vcm encode photo.jpg --text "person, dog" --sigma 0.1 -o photo.vcm
    vcm encode photo.jpg --box 48,384,208,528 --bytes 12000 -o photo.vcm
    vcm encode PHOTOS/ --task coco-person -o OUT/
    vcm encode "in-{000..009}.tar" --text person --workers 4 -o out-%05d.tar
    vcm encode clip.mp4 --text car -o clip.vcms
    vcm encode clip.mp4 --text car --codec x265+roi -o out.mp4
    """
    from vcm.commands import batch
    from vcm.commands import encode as command

    way = batch.Way(**{name: values.pop(name) for name in batch.WAY})
    report = command.run(source, output, command.Options(**values), way)
    table.finish(report, values["as_json"], command.lines)


watch = cli.command(short_help="Encode what comes into a folder.")(watching.watch)


@cli.command(short_help="Turn .vcm files and .vcms streams back into pictures and clips.")
@click.argument("source", type=PATH)
@options.output("The picture (.png, .jpg, .webp, .tif, .bmp or .ppm), the clip, or a folder.")
@click.option("--overwrite", is_flag=True, help="With a folder: replace existing files.")
@options.many
@options.made_with
@options.device
@options.json
@streams.decoding
def decode(source: Path, output: Path, overwrite: bool, as_json: bool, **values: Any) -> None:
    """Turn a .vcm file back into a picture, or a folder or tar shards of them into PNG pictures.

    A .vcms stream becomes an .mp4, .mov or .mkv clip (x264, nearly lossless), .y4m, or a folder
    of PNG frames. Needs no words, no mask, no language model.
    """
    from vcm.commands import batch
    from vcm.commands import decode as command

    how = command.Decoding(values.pop("weights"), values.pop("device"))
    report = command.run(source, output, how, overwrite, batch.Way(**values))
    table.finish(report, as_json, command.lines)


@cli.command(short_help="Show what a .vcm file or .vcms stream says about itself.")
@click.argument("source", type=PATH)
@options.json
def info(source: Path, as_json: bool) -> None:
    """Show what a .vcm file or .vcms stream says: size, rate, quality, model, map, stored words."""
    from vcm.commands import info as command

    table.finish(command.run(source), as_json, lambda report: table.lines(command.readable(report)))


@cli.command(short_help="Show what words, a mask or boxes select.")
@click.argument("source", type=PATH)
@options.output("A picture that shows outline, similarity and mask; or a clip with the outline.")
@click.option("--save-mask", type=PATH, help="The mask alone, as `vcm encode --mask` takes it.")
@options.roi
@reading.options
@options.json
@clips.showing
def roi(source: Path, output: Path, save_mask: Path | None, as_json: bool, **values: Any) -> None:
    """Show what the words (or mask, or boxes) select; the map of a .vcm file.

    \b
    vcm roi photo.jpg --text person -o roi.png --save-mask mask.png
    vcm roi clip.mp4 --text person -o masks.mp4
    vcm roi photo.vcm -o map.png
    """
    from vcm.commands import info
    from vcm.commands import roi as command

    how = values.pop("reading")
    report = command.run(source, output, save_mask, command.RoiOptions(**values), how)
    table.finish(report, as_json, lambda report: table.lines(info.readable(report)))


@cli.command(short_help="Show what a task model looks at in a picture.")
@click.argument("source", type=PATH)
@options.output("A picture that shows it.")
@click.option("--importance", default="learned", show_default=True, metavar="MODEL",
              help="A checkpoint such as yolo11n.pt, or learned, which needs none.")  # fmt: skip
@options.device
@reading.options
@options.json
def importance(source: Path, output: Path, as_json: bool, **values: Any) -> None:
    """Show where an error matters to a task model, as `vcm encode --importance` uses it.

    \b
    vcm importance photo.jpg --importance yolo11n.pt -o importance.png
    """
    from vcm.commands import importance as command

    name, how = values.pop("importance"), values.pop("reading")
    table.finish(command.run(source, output, name, values["device"], how), as_json, table.lines)


@cli.command(short_help="Try the codec on three photos: a table and a sheet.")
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


@cli.command(short_help="Time our codec against others.")
@click.argument("photo", type=PATH)
@options.cases
@click.option("--json", "as_json", is_flag=True, help="Report a line of JSON for each case.")
def bench(
    photo: Path, megapixels: tuple[float, ...], codec: tuple[str, ...], text: str, as_json: bool
) -> None:
    """Time our codec against others on a photo, enlarged; each in a process of its own."""
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
    results.json, a page (index.html), plots and a table of pictures. If stopped, the same
    command continues where it left off.

    \b
    vcm eval --task coco-person --model yolo11n.pt --data coco213 -o out/person
    vcm eval --text dog --model yolo11n.pt --data PHOTOS/ --codecs vcm,avif -o out/dogs
    """
    from vcm.commands import eval as command

    wanted = command.EvalOptions(**values)
    report = command.run(output, wanted, lambda line: click.echo(line, err=True))
    table.finish(command.to_json(report), as_json, lambda _: command.lines(report))
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
    """Train the codec, or continue where a run stopped.

    Values after the config override it, and are part of the name of the run's folder. Several
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

        table.finish(plan(wanted), False, table.lines)
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

    table.finish(dict(run(checkpoint, output, photos, encoder_of)), False, table.lines)


@cli.command("export", short_help="Write the codec as ONNX, as a bundle, or as a web page.")
@options.output("A folder for the networks and codec.json, for the bundle or for the page.")
@options.weights
@options.exporting
@options.json
def export_(output: Path, as_json: bool, **values: Any) -> None:
    """Write the networks of encoder and decoder as ONNX, with the coding tables beside them.

    A device that has onnxruntime and no torch decodes files with them. With --bundle the folder has
    a program that encodes too, vcm_edge.py; with --page it is a web page that decodes.

    \b
    vcm export -o onnx --check photo.jpg
    vcm export --bundle -o edge --words "person, car"
    """
    from vcm.commands import export as command

    table.finish(command.run(output, **values), as_json, command.lines)


@cli.command(short_help="Say what is installed, what is missing and how to get it.")
@options.json
def doctor(as_json: bool) -> None:
    """Say what is installed: versions, devices, extras, models, encoders.

    For each thing that is missing, one sentence says how to get it.
    """
    from vcm.commands import doctor as command

    table.finish(command.run(), as_json, command.lines)


cut = cli.command(short_help="Take some frames out of a .vcms stream.")(streams.cut)
join = cli.command(short_help="Put .vcms streams one after another.")(streams.join)
complete = cli.command("completion", short_help="Print a completion script.")(completion.printed)


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
