"""A report as a table for people, and how it is printed."""

import json
import sys
from collections.abc import Callable
from typing import Any

import click

Report = dict[str, Any]


def lines(report: Report) -> list[str]:
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


def finish(report: Report, as_json: bool, lines: Callable[[Report], list[str]]) -> None:
    """Print a report; exit code 2 if files of a folder failed."""
    piped = report.get("file") == "/dev/stdout"  # standard output is the file itself
    for line in [json.dumps(report)] if as_json else lines(report):
        click.echo(line, err=piped)
    if report.get("failed"):
        sys.exit(2)
