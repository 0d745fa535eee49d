"""A training run as a table and a page that open anywhere: log.csv, index.html."""

import base64
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vcm.errors import MissingExtra
from vcm.files import write_atomic

Record = dict[str, float]
TERMS: Final = ("loss", "bpp", "mse", "roi", "background", "task")
TEMPLATE: Final = Path(__file__).with_name("training.html.jinja")
SHOWN: Final = 4  # checks on held-out pictures, the last of them


def write(folder: Path, config: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Make both from the log.jsonl of a run's folder.

    Args:
        config: what the run was told, by table.
        provenance: command, commit, versions and machine.

    Raises:
        MissingExtra: if matplotlib is not installed; log.csv is there nevertheless.
    """
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    write_atomic(folder / "log.csv", table(records).encode())
    samples = folder / "samples.png"
    page = _template().render(
        title=folder.name,
        records=records,
        terms=_inline(_terms(records), "svg+xml"),
        held_out=_inline(_held_out(records), "svg+xml"),
        samples=_inline(samples.read_bytes(), "png") if samples.is_file() else None,
        config=config,
        provenance=provenance,
    )
    write_atomic(folder / "index.html", page.encode(errors="surrogateescape"))


def table(records: Sequence[Record]) -> str:
    """Records as CSV; what a record does not have is empty."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def curves(record: Record, of: str = "psnr") -> dict[str, list[tuple[float, float]]]:
    """Bits per pixel and PSNR by sigma, of a record with a check.

    Args:
        of: "psnr" is that of the ROI, "bg" that of the background.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for key, bpp in record.items():
        if key.startswith("q") and key.endswith("_bpp"):
            name = key.removesuffix("_bpp")
            found.setdefault(name.partition("_s")[2], []).append((bpp, record[f"{name}_{of}"]))
    return found


def map_told(record: Record, sigma: str) -> str:
    """What a check tells of the maps of a sigma: "; map of 2 levels, 0.4 % of the bits"."""
    ends = f"_s{sigma}_levels", f"_s{sigma}_map"
    counts, shares = ([v for k, v in record.items() if k.endswith(end)] for end in ends)
    if not counts:
        return ""
    share = 100 * sum(shares) / len(shares)
    return f"; map of {max(counts):.0f} levels, {share:.2g} % of the bits"


def _terms(records: Sequence[Record]) -> bytes:
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6), layout="constrained")
    for axis, name in zip(axes.flat, TERMS, strict=True):
        known = [r for r in records if name in r]  # an older vcm may have begun the run
        axis.plot([r["step"] for r in known], [r[name] for r in known], linewidth=1)
        axis.set(title=name, xlabel="step")
        axis.grid(alpha=0.3)
    return _svg(figure)


def _held_out(records: Sequence[Record]) -> bytes:
    checks = [r for r in records if curves(r)]
    sigmas = list(curves(checks[-1])) if checks else []
    figure, axes = _pyplot().subplots(
        1, max(1, len(sigmas)), figsize=(12, 4.5), layout="constrained", squeeze=False
    )
    for axis, sigma in zip(axes.flat, sigmas, strict=False):
        for record in checks[-SHOWN:]:
            rates, scores = zip(*curves(record)[sigma], strict=True)
            axis.plot(rates, scores, "o-", markersize=4, label=f"ROI, step {record['step']:.0f}")
        rates, scores = zip(*curves(checks[-1], "bg")[sigma], strict=True)
        axis.plot(rates, scores, "k:", label="background, last step")
        title = f"sigma {sigma}{map_told(checks[-1], sigma)}"
        axis.set(title=title, xlabel="bits per pixel", ylabel="PSNR, dB")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return _svg(figure)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra("matplotlib", "train") from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def _svg(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    _pyplot().close(figure)
    return buffer.getvalue()


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(TEMPLATE.name)
