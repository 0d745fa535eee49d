"""The command line. Each command imports what it needs when it runs: `vcm info` needs no torch."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vcm.errors import VcmError

F = TypeVar("F", bound=Callable[..., Any])
BACKENDS = ("embedded", "clipseg", "segmenter")
ON_EMPTY = ("whole", "background", "error")


class Group(click.Group):
    """Commands whose VcmErrors end as one line and exit code 2, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VcmError as error:
            click.echo(f"vcm: {' '.join(str(error).split())}", err=True)
            ctx.exit(2)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vcm", message="vcm %(version)s")
def cli() -> None:
    """Image compression for machines, steered by words."""


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order given."""

    def apply(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


_roi_options = _options(
    click.option("--text", help='Words for what matters: "person, dog", "vehicle -bus".'),
    click.option("--task", help="A built-in task's name or a TOML file: words, tau and sigma."),
    click.option("--mask", type=click.Path(path_type=Path), help="A picture, white is ROI."),
    click.option("--box", multiple=True, metavar="X,Y,W,H", help="A box in pixels; repeatable."),
    click.option("--sigma", type=float, help="Mask value outside, in (0, 1]. Default 0.1."),
    click.option("--tau", type=float, help="Similarity threshold. Default: the backend's."),
    click.option("--dilation", type=int, help="Pixels by which the ROI grows."),
    click.option("--on-empty", type=click.Choice(ON_EMPTY), default="whole", show_default=True,
                 help="What to do where the words match nothing."),
    click.option("--roi-backend", type=click.Choice(BACKENDS), default="embedded",
                 show_default=True, help="What turns the words into a mask."),
    click.option("--roi-weights", help="Hub name, folder or file of the ROI backend's model."),
)  # fmt: skip

_weights_option = click.option(
    "--weights", default="base", show_default=True, help="Codec: a built-in name or a file."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@_roi_options
@click.option("--quality", type=float, help="0 (smallest) to 100. Default 50.")
@click.option("--bpp", type=float, help="Instead: bits per pixel that the file should have.")
@click.option("--bytes", "size", type=int, help="Instead: bytes that the file should have.")
@click.option("--store-text", is_flag=True, help="Keep the words in the file (costs bytes).")
@click.option("--overwrite", is_flag=True, help="In folders: do again what is done.")
@_weights_option
@_json_option
def encode(source: Path, output: Path, **options: Any) -> None:
    """Compress a picture to a .vcm file, or a folder of pictures to a folder of files.

    Without words, mask or box the whole picture is coded evenly.
    """
    from vcm.commands import encode as command

    report = command.run(source, output, command.Options(**options))
    _print(report, options["as_json"], command.lines)
    if report.get("failed"):
        sys.exit(2)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@_weights_option
@_json_option
def decode(source: Path, output: Path, weights: str, as_json: bool) -> None:
    """Turn a .vcm file back into a picture. Needs no words, no mask, no language model."""
    from vcm.commands import decode as command

    _print(command.run(source, output, weights), as_json, command.lines)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@_json_option
def info(source: Path, as_json: bool) -> None:
    """Show what a .vcm file says of itself."""
    from vcm import bitstream

    _print(bitstream.describe(bitstream.read(source)), as_json, _table)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
              help="Sheet: outline, similarity, mask.")  # fmt: skip
@click.option("--save-mask", type=click.Path(path_type=Path), help="The mask alone, 0 / 255.")
@_roi_options
@_json_option
def roi(source: Path, output: Path, save_mask: Path | None, as_json: bool, **options: Any) -> None:
    """Show what the words (or mask, or boxes) select in a picture."""
    from vcm.commands import roi as command

    report = command.run(source, output, save_mask, command.RoiOptions(**options))
    _print(report, as_json, _table)


@cli.command()
@click.option("-o", "--output", default="out", show_default=True, type=click.Path(path_type=Path))
@click.option("--model", help="A YOLO checkpoint whose boxes are drawn (needs vcm[yolo]).")
@_weights_option
def demo(output: Path, model: str | None, weights: str) -> None:
    """The main job on three real photos: words -> file -> picture -> numbers."""
    from vcm.commands import demo as command

    for line in command.run(output, model, weights):
        click.echo(line)


@cli.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("--megapixels", multiple=True, type=float, default=(0.4, 4, 40), show_default=True)
@click.option("--codec", multiple=True, help="Only these. Default: ours and seven others.")
def bench(photo: Path, megapixels: tuple[float, ...], codec: tuple[str, ...]) -> None:
    """Time our codec beside others on a photo, enlarged; each in a process of its own."""
    from vcm.commands import bench as command

    for line in command.run(photo, megapixels, codec or command.CASES):
        click.echo(line)


@cli.command()
@click.option("--config", required=True, type=click.Path(path_type=Path), help="configs/*.toml")
def train(config: Path) -> None:
    """Train the codec; goes on where a run with the same folder stopped."""
    from vcm import toml
    from vcm.commands import train as command
    from vcm.train.config import Training

    command.run(toml.load(config, Training))


@cli.command("train-roi")
@click.option("--config", required=True, type=click.Path(path_type=Path), help="configs/roi.toml")
def train_roi(config: Path) -> None:
    """Train the embedded words-to-mask network."""
    from vcm.train import roi as command

    command.main(config)


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--photos", type=click.Path(path_type=Path), help="Fit the coding tables to these.")
def release(checkpoint: Path, output: Path, photos: Path | None) -> None:
    """Make a weight file (float16, with coding tables) of a training checkpoint."""
    from vcm.train.release import release as run

    _print(dict(run(checkpoint, output, photos)), False, _table)


def _table(report: dict[str, Any]) -> list[str]:
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
    return str(value)


def _print(
    report: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], list[str]]
) -> None:
    for line in [json.dumps(report)] if as_json else lines(report):
        click.echo(line)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; ends by SystemExit with 0, or 2 for any error of the caller's."""
    cli(args=argv, prog_name="vcm")


if __name__ == "__main__":
    main()
