"""`vcm train`: the loop, with a live table, a sheet of pictures and, if asked, W&B."""

import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from vcm.commands.progress import Ticker
from vcm.errors import MissingExtra
from vcm.files import held, make_folder
from vcm.provenance import provenance
from vcm.report import training
from vcm.track import log_model, log_training, tracked, training_axis
from vcm.train.check import SIGMAS
from vcm.train.checkpoint import step_of
from vcm.train.config import Training
from vcm.train.loop import train
from vcm.train.release import release
from vcm.train.trainer import processes

_log = logging.getLogger(__name__)
PATIENCE: Final = 5.0  # seconds in which a signal that comes again is the same one
ROWS: Final = 12  # of the live table
CHECKED: Final = "q50_s1.0_bpp"  # in records that hold a check on held-out pictures
Record = dict[str, float]


def run(config: Training) -> None:
    """Train to the end; Ctrl-C saves and stops, and the same command goes on from there.

    So do SIGINT where a shell had it ignored (`vcm train ... &`), and the SIGTERM of schedulers.
    The step that it is in is finished before; a second Ctrl-C, some seconds later, does not wait
    for that. (Sooner it is the same one: torchrun passes on what its processes got as well.)
    """
    stop, first = Event(), 0.0

    def told(number: int, frame: Any) -> None:
        nonlocal first
        if not stop.is_set():
            first = time.monotonic()
            stop.set()
        elif time.monotonic() - first > PATIENCE:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    ticker = Ticker(f"training {config.run.folder}: steps", config.optim.steps)
    records: Iterator[Record] = train(config, stop=stop, seen=ticker.at)
    folder = Path(config.run.folder)
    try:
        with _tracking(config, folder) as wandb_run:
            if wandb_run is not None:
                training_axis(wandb_run)
            for record in _shown(records, config, ticker):
                if CHECKED in record:
                    _page(config, folder)
                if wandb_run is not None:
                    log_training(wandb_run, record, folder)
            if wandb_run is not None:
                log_model(wandb_run, _weights(config, folder))
    except KeyboardInterrupt:
        _stopped(config, folder)
        sys.exit(130)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _shown(records: Iterator[Record], config: Training, ticker: Ticker) -> Iterator[Record]:
    """The records, shown as they come: a live table for people, lines for a file."""
    total = config.optim.steps
    if not processes().is_main_process:  # the first process speaks for all
        yield from records
        return
    if not sys.stdout.isatty():
        click.echo(
            f"folder {config.run.folder}, {total} steps, Ctrl-C stops, the same command resumes"
        )
        with ticker:  # records may be far apart
            for record in records:
                click.echo(_line(record, total))
                yield record
        return
    last: deque[Record] = deque(maxlen=ROWS)
    held_out: Record = {}
    with Live(_table(last, held_out, config), console=Console(), refresh_per_second=2) as live:
        for record in records:
            last.append(record)
            held_out = record if CHECKED in record else held_out
            live.update(_table(last, held_out, config))
            yield record


def _line(r: Record, total: int) -> str:
    left = (total - r["step"]) * r["seconds"] / 3600
    text = (
        f"step {r['step']:6.0f}/{total}  loss {r['loss']:.4f}  bpp {r['bpp']:.4f}  "
        f"task {r['task']:.4f}  {r['seconds']:.2f} s/step  {left:.1f} h left"
    )
    if CHECKED not in r:
        return text
    points = [
        f"q{q}: {r[f'q{q}_s1.0_bpp']:.3f} bpp {r[f'q{q}_s1.0_psnr']:.2f} dB" for q in _qualities(r)
    ]
    return f"{text}\n  held out, even: {', '.join(points)}"


def _qualities(record: Record) -> list[int]:
    """The qualities that a check on held-out pictures tells of."""
    end = "_s1.0_bpp"
    return [int(key[1 : -len(end)]) for key in record if key.endswith(end)]


def _table(last: deque[Record], held_out: Record, config: Training) -> Table:
    """The last records, and the last check on held-out pictures under them."""
    table = Table(title=f"{config.run.folder}: Ctrl-C saves and stops", title_justify="left")
    for name in ("step", "loss", "bpp", "mse", "task", "lr", "s/step", "left"):
        table.add_column(name, justify="right")
    for r in last:
        left = (config.optim.steps - r["step"]) * r["seconds"] / 3600
        table.add_row(
            f"{r['step']:.0f}/{config.optim.steps}", f"{r['loss']:.4f}", f"{r['bpp']:.4f}",
            f"{r['mse']:.2e}", f"{r['task']:.4f}", f"{r['lr']:.1e}", f"{r['seconds']:.2f}",
            f"{left:.1f} h",
        )  # fmt: skip
    if held_out:
        table.add_section()
        for sigma in SIGMAS:
            points = [
                f"{held_out[f'q{q}_s{sigma}_bpp']:.2f}→{held_out[f'q{q}_s{sigma}_psnr']:.1f}"
                for q in _qualities(held_out)
            ]
            table.add_row("held out", f"sigma {sigma}", "bpp→dB", *points)
    return table


def _tracking(config: Training, folder: Path) -> AbstractContextManager[Any]:
    """A W&B run if the config asks for one; the run's own page holds the same without wandb."""
    if not config.run.wandb or not processes().is_main_process:
        return nullcontext()
    with held(make_folder(folder)):  # by this run alone: W&B would go on with another's
        pass
    if find_spec("wandb") is None:
        _log.warning("wandb is not installed: see %s, log.csv beside it", folder / "index.html")
        return nullcontext()
    described = asdict(config) | {"provenance": provenance()}
    return tracked(config.run.wandb, folder.name, described, folder)


def _weights(config: Training, folder: Path) -> Path:
    """A weight file of the finished run; of an encoder that was tuned alone just that."""
    told, target = config.run, folder / "codec.safetensors"
    tuned = told.learn == "encoder" and told.initial and not told.initial.endswith(".ckpt")
    release(folder / "final.ckpt", target, encoder_of=told.initial if tuned else None)
    return target


def _stopped(config: Training, folder: Path) -> None:
    """Say where the run can go on, and draw it as far as it came."""
    if not processes().is_main_process:
        return
    log = folder / "log.jsonl"
    if log.is_file() and log.stat().st_size:
        _page(config, folder)
    step = step_of(folder / "last.ckpt")
    kept = f"saved in {folder}: step {step}" if step else "before anything was saved"
    click.echo(f"stopped; {kept}, the same command goes on from there", err=True)


def _page(config: Training, folder: Path) -> None:
    """The page of the run so far; a run without matplotlib has none, and goes on."""
    if processes().is_main_process:
        try:
            training.write(folder, asdict(config), provenance())
        except MissingExtra as error:
            _log.warning("no page: %s", error)
