"""Folders: the same work on each file, with progress; resumes, and one bad file stops nothing."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from vcm.errors import OutputError, SpecError, UnknownWord, VcmError

Report = dict[str, Any]


def targets(sources: Sequence[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """Where the result of each source goes: same stem, another suffix.

    Raises:
        SpecError: if two sources would share a target.
        OutputError: if the folder cannot be made.
    """
    pairs = {source: folder / f"{source.stem}{suffix}" for source in sources}
    owners: dict[Path, Path] = {}
    for source, target in pairs.items():
        if target in owners:
            raise SpecError(
                f"{owners[target].name} and {source.name} would both become {target.name}: "
                f"rename one of them"
            )
        owners[target] = source
    make(folder)
    return pairs


def make(folder: Path) -> None:
    """The folder is there afterwards.

    Raises:
        OutputError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise OutputError(
            f"cannot make the folder {str(folder)!r}: {reason}; choose another place"
        ) from error


def each(
    pairs: dict[Path, Path], done: Callable[[Path], bool], work: Callable[[Path, Path], Report]
) -> Report:
    """Do the work on every pair that is not done; what happened, as a report.

    A file that fails is listed with its reason and the others go on. A full or read-only disk and
    a word that is not known stop everything: every further file would fail alike.
    """
    reports, failed, skipped = [], {}, 0
    with click.progressbar(pairs.items(), file=sys.stderr, label=f"{len(pairs)} files") as bar:
        for source, target in bar:
            if done(target):
                skipped += 1
                continue
            try:
                reports.append(work(source, target))
            except (OutputError, UnknownWord):
                raise
            except VcmError as error:
                failed[str(source)] = str(error)
    return {"files": reports, "done_before": skipped, "failed": failed}


def lines(report: Report) -> list[str]:
    """The summary of a folder for people."""
    files, failed = report["files"], report["failed"]
    text = [f"{len(files)} done, {report['done_before']} were there already, {len(failed)} failed"]
    return text + [f"  {name}: {reason}" for name, reason in failed.items()]
