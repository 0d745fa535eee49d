"""Curves of an evaluation as pictures."""

import io
from collections.abc import Iterator
from typing import Any, Final

from vcm.evaluate.report import CodecReport, Report
from vcm.metrics.table import axis as axis_of

WIDTH, HEIGHT = 7.5, 6.0  # inches, the legend below the axes included
COLOURS: Final = (*(f"C{n}" for n in range(10)), "black", "gold", "navy", "lime")


def drawn(report: Report, format: str) -> Iterator[tuple[str, bytes]]:
    """Metric and picture ("png" or "svg") of score over bits per pixel, the task's metric first."""
    for metric in report.metrics():
        yield metric, curve(report, metric, format)


def curve(report: Report, metric: str, format: str) -> bytes:
    """One metric over bits per pixel, a line a codec, with the intervals over pictures."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    for number, codec in enumerate(report.codecs):
        _line(axis, codec, metric, COLOURS[number % len(COLOURS)])
    original = report.uncompressed.get(metric)
    if original is not None:
        axis.axhline(original.value, color="grey", linestyle=":", label="uncompressed")
    axis.set(xlabel="bits per pixel", ylabel=axis_of(metric), xscale="log")
    _plain(axis.xaxis)
    if report.kbps is not None:
        _kbps(axis, report.kbps)
    axis.grid(alpha=0.3, which="both")
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)  # on the axes it hides curves
    buffer = io.BytesIO()
    metadata = {"Date": None} if format == "svg" else {}
    figure.savefig(buffer, format=format, dpi=120, metadata=metadata)
    pyplot.close(figure)
    return buffer.getvalue()


def _kbps(axis: Any, factor: float) -> None:
    """An axis on top with the kilobits a second of a clip."""
    functions = (lambda bpp: bpp * factor, lambda kbps: kbps / factor)
    above = axis.secondary_xaxis("top", functions=functions)
    above.set_xlabel("kilobits a second")
    _plain(above.xaxis)


def _plain(axis: Any) -> None:
    """Plain numbers along a logarithmic axis, at 1, 2 and 5 of each decade."""
    from matplotlib import ticker

    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(ticker.NullFormatter())


def _line(axis: Any, codec: CodecReport, metric: str, colour: str) -> None:
    rates = [p.bpp.value for p in codec.points]
    scores = [p.scores[metric] for p in codec.points]
    style = "-" if codec.ours else "--"
    axis.plot(
        rates, [s.value for s in scores], style, color=colour, marker="o", markersize=4,
        linewidth=2 if codec.ours else 1.3, label=codec.name,
    )  # fmt: skip
    if all(s.low is not None for s in scores):
        low, high = [s.low for s in scores], [s.high for s in scores]
        axis.fill_between(rates, low, high, color=colour, alpha=0.08, linewidth=0)
