"""One HTML page of an evaluation: curves, tables, pictures; a single file that opens offline."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from vcm.errors import MissingExtra
from vcm.evaluate.estimates import BdRate, Difference, Number
from vcm.evaluate.report import Report
from vcm.metrics.table import metric
from vcm.report.plots import drawn

Image = NDArray[np.uint8]  # (H, W, 3) RGB
TEMPLATE = Path(__file__).with_name("page.html.jinja")


class Panel(NamedTuple):
    """A picture with what to read under it."""

    caption: str
    picture: Image


class PhotoRow(NamedTuple):
    """Panels of one photo, side by side."""

    title: str
    panels: Sequence[Panel]


def page(report: Report, rows: Sequence[PhotoRow], title: str) -> str:
    """The HTML text.

    Raises:
        MissingExtra: if jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtra("jinja2", "eval") from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "number": number, "percent": percent, "ground": ground, "picture": webp,
    }  # fmt: skip
    environment.globals["metric_of"] = metric
    plots = [(metric, picture.decode()) for metric, picture in drawn(report, "svg")]
    template = environment.get_template(TEMPLATE.name)
    return template.render(report=report, plots=_inline(plots), rows=rows, title=title)


def _inline(plots: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Plots as data URLs: one SVG's names then cannot meet another's."""
    return [
        (metric, f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}")
        for metric, svg in plots
    ]


def number(found: Number, digits: int = 3) -> str:
    """A value with its interval, or a dash."""
    if found.value is None:
        return "–"
    text = f"{found.value:.{digits}f}"
    low, high = found.low, found.high
    if low is None and high is None:
        return text
    ends = [f"{low:.{digits}f}" if low is not None else "?"]
    ends.append(f"{high:.{digits}f}" if high is not None else "not reached")
    return f"{text} ({ends[0]} to {ends[1]})"


def percent(found: BdRate | Difference) -> str:
    """A BD-rate or a difference with its interval, or a dash."""
    if found.value is None:
        return "–"
    text = f"{found.value:+.1f} %"
    low, high = found.low, found.high
    if low is None and high is None:
        return text
    ends = ("?" if end is None else f"{end:+.0f}" for end in (low, high))
    return f"{text} ({' to '.join(ends)})"


def ground(found: BdRate) -> str:
    """What a BD-rate stands on."""
    known = found.known
    of = "" if known is None else f", {100 * known:.0f} % of the resamples have a BD-rate"
    return f"{100 * found.overlap:.0f} % of the scores are shared{of}"


def webp(picture: Image) -> str:
    """A picture as a data URL; lossy, for looking at only."""
    buffer = io.BytesIO()
    pillow.fromarray(picture).save(buffer, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
