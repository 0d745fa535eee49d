"""`vcm info`: what a .vcm file says of itself. Neither torch nor, without a map, numpy."""

from pathlib import Path
from typing import Any

from vcm import container, weightfile


def run(source: Path) -> dict[str, Any]:
    """What a file says: size, rate, quality, model, levels of its map, words if stored.

    Raises:
        BitstreamError: if it is no whole file.
    """
    data = container.read(source)
    report = container.describe(data)
    levels = None
    if "map" in report["sections"]:
        from vcm.commands import maps

        found = maps.level_map(data)
        levels = maps.levels_of(found) if found else None
    return report | {"model": weightfile.named(report["fingerprint"]), "levels": levels}


def readable(report: dict[str, Any]) -> dict[str, Any]:
    """The report for people."""
    if report.get("levels") is None:
        return report
    from vcm.commands import maps

    return report | {"levels": maps.shown(report["levels"])}
