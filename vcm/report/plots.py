"""Curves of an evaluation as pictures."""

import io
from collections.abc import Iterator
from typing import Any, Final

WIDTH, HEIGHT = 7.5, 6.0  # inches, the legend below the axes included
COLOURS: Final = (*(f"C{n}" for n in range(10)), "black", "gold", "navy", "lime")
LABELS: Final = {
    "AP": "AP, %", "AP50": "AP50, %", "mask_AP": "mask AP, %", "mIoU": "mIoU, %",
    "PSNR": "PSNR, dB", "ROI-PSNR": "PSNR of the ROI, dB",
    "background PSNR": "PSNR of the background, dB",
    "ST-LPIPS": "ST-LPIPS (lower is better)",
    "LPIPS": "LPIPS (lower is better)", "DISTS": "DISTS (lower is better)",
}  # fmt: skip


def drawn(result: dict[str, Any], format: str) -> Iterator[tuple[str, bytes]]:
    """Metric and picture ("png" or "svg") of score over bits per pixel, the task's metric first."""
    for metric in metrics(result):
        yield metric, curve(result, metric, format)


def metrics(result: dict[str, Any]) -> list[str]:
    """The metrics that every codec's points have, the task's first."""
    points = [p["scores"] for codec in result["codecs"] for p in codec["points"]]
    return [
        result["metric"],
        *(m for m in points[0] if m != result["metric"] and all(m in p for p in points)),
    ]


def label(metric: str) -> str:
    """A metric with its unit, for an axis."""
    _, agreement, own = metric.rpartition("agreement ")
    return f"{agreement}{LABELS.get(own, own)}"


def curve(result: dict[str, Any], metric: str, format: str) -> bytes:
    """One metric over bits per pixel, a line a codec, with the intervals over pictures."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot, ticker

    figure, axis = pyplot.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
    for number, codec in enumerate(result["codecs"]):
        _line(axis, codec, metric, COLOURS[number % len(COLOURS)])
    original = result["uncompressed"].get(metric)
    if original is not None:
        axis.axhline(original["value"], color="grey", linestyle=":", label="uncompressed")
    axis.set(xlabel="bits per pixel", ylabel=label(metric), xscale="log")
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.grid(alpha=0.3, which="both")
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)  # on the axes it hides curves
    buffer = io.BytesIO()
    metadata = {"Date": None} if format == "svg" else {}
    figure.savefig(buffer, format=format, dpi=120, metadata=metadata)
    pyplot.close(figure)
    return buffer.getvalue()


def _line(axis: Any, codec: dict[str, Any], metric: str, colour: str) -> None:
    points = codec["points"]
    rates = [p["bpp"]["value"] for p in points]
    scores = [p["scores"][metric] for p in points]
    ours = codec["text"].partition(":")[0] == "vcm"
    style = "-" if ours else "--"
    axis.plot(
        rates, [s["value"] for s in scores], style, color=colour, marker="o", markersize=4,
        linewidth=2 if ours else 1.3, label=codec["name"],
    )  # fmt: skip
    if all(s["low"] is not None for s in scores):
        low, high = ([s[end] for s in scores] for end in ("low", "high"))
        axis.fill_between(rates, low, high, color=colour, alpha=0.08, linewidth=0)
