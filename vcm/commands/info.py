"""`vcm info`: what a file or stream contains. It needs no torch and, without a map, no numpy."""

from pathlib import Path
from typing import Any

from vcm import container, weightfile
from vcm.commands import losses
from vcm.container import stream


def run(source: Path) -> dict[str, Any]:
    """What a file says: size, rate, quality, model, levels of its map, words if stored.

    Raises:
        BitstreamError: if it is not a whole file, or not a stream.
    """
    if source.suffix.lower() == stream.SUFFIX:
        return _stream(source)
    data = container.read(source)
    report = container.describe(data)
    levels = None
    if "map" in report["sections"]:
        from vcm.commands import maps

        found = maps.level_map(data)
        levels = maps.levels_of(found) if found else None
    return report | {"model": weightfile.named(report["fingerprint"]), "levels": levels}


def _stream(source: Path) -> dict[str, Any]:
    """The same for a stream; all its frames are read."""
    found = stream.opened(source)
    report = stream.described(found) | {"levels": None}
    report["model"] = weightfile.named(report["fingerprint"])
    reasons = dict.fromkeys(report["lost"], "damaged")
    return report | {"failed": losses.failed(found, reasons)}


def readable(report: dict[str, Any]) -> dict[str, Any]:
    """The report for people."""
    report = {key: value for key, value in report.items() if value not in ([], {})}
    if report.get("levels") is None:
        return report
    from vcm.commands import maps

    return report | {"levels": maps.shown(report["levels"])}
