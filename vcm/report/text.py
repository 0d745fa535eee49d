"""An evaluation as a table of text."""

from vcm.evaluate.estimates import BdRate, RateAt
from vcm.evaluate.report import Report

THIN = (
    "*: the two curves share less than half of their scores, or over 5 % of the resamples have no "
    "BD-rate; measure more rates"
)


def lines(report: Report) -> list[str]:
    """The table for people."""
    metric, shares = report.metric, list(report.bits_at)
    bds = [report.bd.get(m, {}) for m in (metric, "ROI-PSNR")]
    width = max(len(codec.name) for codec in report.codecs)
    column = max(18, len(f"BD-rate {metric}") + 2, len(f"99 % of {metric}") + 2)
    head = "".join(f"{f'{s} % of {metric}':>{column}}" for s in shares)
    text = [f"bits per pixel needed for a share of the uncompressed {metric}:"]
    text.append(f"{'':<{width}}{head}{'BD-rate ' + metric:>{column}}{'ROI-PSNR':>12}")
    for name in (codec.name for codec in report.codecs):
        rates = "".join(f"{_rate(report.bits_at[s][name]):>{column}}" for s in shares)
        cells = zip((_percent(bd.get(name)) for bd in bds), (column, 12), strict=True)
        text.append(f"{name:<{width}}{rates}{''.join(f'{cell:>{w}}' for cell, w in cells)}")
    text.append(f"BD-rates against {report.reference}; {len(report.failed)} pictures failed")
    if any(found.thin for bd in bds for found in bd.values()):
        text.append(THIN)
    if report.unknown_classes:
        text.append(f"AP 0, the model does not know them: {', '.join(report.unknown_classes)}")
    text += [f"  {name}: {reason}" for name, reason in report.failed.items()]
    return [*text, *report.notes]


def _rate(found: RateAt) -> str:
    if found.value is None:
        return "not reached"
    return f"{'<= ' if found.at_most else ''}{found.value:.3f}"


def _percent(found: BdRate | None) -> str:
    if found is None or found.value is None:
        return "-"
    return f"{found.value:+.1f} %{'*' if found.thin else ''}"
