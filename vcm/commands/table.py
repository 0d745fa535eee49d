"""A report as a table for people."""

from typing import Any


def lines(report: dict[str, Any]) -> list[str]:
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
