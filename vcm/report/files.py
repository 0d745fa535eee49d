"""An evaluation as a folder: numbers, a table of pictures, plots and the page."""

import csv
import io
import json
from pathlib import Path
from typing import Any, Final

from vcm import draw
from vcm.evaluate.api import Evaluated, Plan, Report, Track, evaluated, to_json
from vcm.evaluate.measure import Measurer
from vcm.evaluate.record import Record, Seen
from vcm.evaluate.result import Say, rows_for_csv
from vcm.files import held, make_folder, write_atomic
from vcm.report.page import Panel, PhotoRow, page
from vcm.report.plots import drawn
from vcm.scale.sources import Source, read
from vcm.scale.work import Pool
from vcm.vision.base import Image, Objects

SHOWN: Final = 4  # photos on the page
SIDE: Final = 1_200  # pixels of them: the page shows them small, and WebP ends at 16,383


def into(folder: Path, plan: Plan, pool: Pool, say: Say, track: Track) -> Report:
    """Evaluate a plan and write its page into a folder; arguments and errors as `evaluate`."""
    with held(make_folder(folder)):
        done = evaluated(plan, folder, pool, say, track)
        write(folder, done)
    return done.report


def write(output: Path, done: Evaluated) -> None:
    """Write results.json, pictures.csv, plots and index.html.

    Raises:
        OutputError: if that cannot be written.
    """
    report, plan = done.report, done.report.plan
    write_atomic(output / "results.json", (json.dumps(to_json(report), indent=1) + "\n").encode())
    write_atomic(output / "pictures.csv", _csv(list(rows_for_csv(plan, done.records))))
    for metric, plot in drawn(report, "png"):
        write_atomic(output / file_of(metric), plot)
    title = f"vcm eval: {plan.task.description or plan.task.text}"
    # names of files may be no text
    text = page(report, _rows(done), title).encode(errors="surrogateescape")
    write_atomic(output / "index.html", text)


def file_of(metric: str) -> str:
    """The name of the file of a metric's plot."""
    return f"{metric.replace(' ', '-')}.png"


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for row in rows for k in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(errors="surrogateescape")


def _rows(done: Evaluated) -> list[PhotoRow]:
    """A few photos, each codec at its setting whose rate is nearest to that of the lower third."""
    report, records, measurer = done
    if measurer is None:
        return []
    rates = sorted(p.bpp.value for c in report.codecs for p in c.points)
    middle = rates[len(rates) // 3]
    chosen = {
        c.text: min(c.points, key=lambda p: abs(p.bpp.value - middle)).setting
        for c in report.codecs
    }
    photos = report.plan.data.photos
    fit = [p for p in photos if p.name in records and p.name not in report.failed]
    fit.sort(key=lambda p: abs(records[p.name].roi_share - 0.25))
    return [_row(measurer, photo, records[photo.name], chosen) for photo in fit[:SHOWN]]


def _row(measurer: Measurer, photo: Source, record: Record, settings: dict[str, float]) -> PhotoRow:
    picture = read(photo, measurer.plan.reading)
    mask = measurer.find_roi(photo, picture)
    outlined = _seen(measurer, draw.outlined(picture, mask.roi), record.original)
    panels = [Panel("original", draw.within(outlined, SIDE))]
    for text, setting in settings.items():
        data, decoded = measurer.coded(text, picture, mask, setting)
        row = record.codecs[text].settings[f"{setting:g}"]
        bpp = 8 * len(data) / mask.roi.size
        quality = (
            f"ROI {row.scores['ROI-PSNR']:.1f} dB" if "ROI-PSNR" in row.scores else "nothing found"
        )
        caption = f"{measurer.codecs[text].name}: {bpp:.3f} bpp, {quality}"
        seen = _seen(measurer, decoded, row.output)
        panels.append(Panel(caption, draw.within(seen, SIDE)))
    return PhotoRow(f"{photo.name}: {record.roi_source}", panels)


def _seen(measurer: Measurer, picture: Image, output: Seen) -> Image:
    """The picture with what the model finds on it."""
    model = measurer.model
    if model.kind == "semantic":
        labels = model.segment(picture)  # type: ignore[attr-defined]
        return draw.classes(picture, labels, model.names)
    assert isinstance(output, Objects)
    return draw.boxed(draw.instances(picture, output), draw.labelled(output, model.names))
