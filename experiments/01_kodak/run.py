"""Rate-distortion of our codec and of classical ones on Kodak; writes results.json and plot.png.

Every number is of a file and of the picture that was decoded from it. All points go to points/,
from where a peer may take them for a plot. Files are kept in --cache under all that they depend on,
so that vvenc's are not made twice.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from click import progressbar

from vcm import image
from vcm.anchors import ANCHORS
from vcm.bd import bd_rate
from vcm.errors import MetricError
from vcm.evaluate.codecs import build
from vcm.evaluate.rated import RatedCodec, whole
from vcm.evaluate.store import Store
from vcm.files import write_atomic
from vcm.metrics.distortion import psnr
from vcm.metrics.perceptual import decibels, ms_ssim
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint

HERE = Path(__file__).parent
QUALITIES = (0, 12, 25, 37, 50, 62, 75, 87, 100)
RANGE = (0.1, 1.0)  # bpp that BD-rates are taken over
SPANS = {"psnr": (24, 41), "ms_ssim_db": (7, 23)}  # dB that the plots show
Rows = dict[str, list[dict[str, float]]]  # by picture, one entry per setting


def codecs(names: list[str], weights: str) -> dict[str, RatedCodec]:
    """Anchors at all of their settings, and ours: "vcm" or "vcm:weights=..."."""
    at = {n: ANCHORS[n].settings if n in ANCHORS else QUALITIES for n in names}
    texts = {name: f"{name}:at={'/'.join(map(str, settings))}" for name, settings in at.items()}
    return {name: build(text, 1.0, weights) for name, text in texts.items()}


def measure(codec: RatedCodec, pictures: list[Path], store: Store) -> Rows:
    """Bits, pixels, PSNR and MS-SSIM in dB of every picture at every setting, without an ROI."""
    rows: Rows = {}
    with progressbar(pictures, label=f"{codec.name:<20}") as bar:
        for path in bar:
            picture = image.read(path)
            everything = whole(picture)
            rows[path.stem] = []
            for setting in codec.settings:
                data = store.encoded(codec, picture, everything, setting)
                decoded = codec.decode(data, *picture.shape[:2])
                rows[path.stem].append(
                    {
                        "setting": int(setting),
                        "bits": 8 * len(data),
                        "pixels": picture.size // 3,
                        "psnr": round(psnr(picture, decoded), 4),
                        "ms_ssim_db": round(decibels(ms_ssim(picture, decoded)), 4),
                    }
                )
    return rows


def curve(label: str, rows: list[dict[str, float]], metric: str) -> RDCurve:
    """The curve of one picture."""
    points = (RDPoint(int(r["bits"]), int(r["pixels"]), r[metric]) for r in rows)
    return RDCurve(label, metric, tuple(points))


def mean_bd(anchor: Rows, test: Rows, metric: str) -> float:
    """BD-rate per picture, then the mean; pictures whose curves do not meet are left out."""
    values = []
    for picture in anchor:
        pair = (curve(n, r[picture], metric) for n, r in (("anchor", anchor), ("test", test)))
        try:
            values.append(bd_rate(*pair, *RANGE))
        except MetricError as error:
            print(f"  {picture}: {error}")
    return float(np.mean(values))


def plot(results: dict[str, Rows], path: Path) -> None:
    """Mean bpp and mean dB at each setting, for both metrics."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for axis, (metric, span) in zip(axes, SPANS.items(), strict=True):
        for name, rows in results.items():
            table = list(rows.values())
            bpp = np.mean([[r["bits"] / r["pixels"] for r in p] for p in table], 0)
            score = np.mean([[r[metric] for r in p] for p in table], 0)
            bold = name == "vcm"
            axis.plot(bpp, score, "o-" if bold else ".-", label=name, lw=2.5 if bold else 1)
        axis.set(xlabel="bits per pixel", ylabel=f"{metric}, dB", xlim=(0, 1.6), ylim=span)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle("Kodak, mean of 24 pictures, sizes of files")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kodak"))
    parser.add_argument("--weights", default="base")
    parser.add_argument("--points", type=Path, default=HERE / "points")
    parser.add_argument("--cache", type=Path, default=Path("runs/01_kodak"))
    parser.add_argument("--codecs", nargs="*", default=[*ANCHORS, "vcm"])
    options = parser.parse_args()
    pictures = image.folder(options.data)
    results = {}
    options.points.mkdir(parents=True, exist_ok=True)
    for name, codec in codecs(options.codecs, options.weights).items():
        results[name] = measure(codec, pictures, Store(options.cache))
        lines = (f" {json.dumps(key)}: {json.dumps(row)}" for key, row in results[name].items())
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        write_atomic(options.points / f"{name.replace(':', '-')}.json", text.encode())
    table = {
        name: {
            f"{metric} vs {anchor}": mean_bd(results[anchor], rows, metric)
            for metric in ("psnr", "ms_ssim_db")
            for anchor in ("jpeg", "vvenc", "vcm")
            if anchor in results and anchor != name
        }
        for name, rows in results.items()
    }
    for name, row in table.items():
        print(f"{name:<10} " + "  ".join(f"{key} {value:+6.1f} %" for key, value in row.items()))
    if not set(options.codecs) >= {*ANCHORS, "vcm"}:
        print("results.json and plot.png are left as they were: these are not all codecs")
        return
    summary = {"pictures": len(pictures), "range_bpp": RANGE, "bd_rate": table}
    summary["provenance"] = provenance()
    write_atomic(HERE / "results.json", (json.dumps(summary, indent=1) + "\n").encode())
    plot(results, HERE / "plot.png")


if __name__ == "__main__":
    main()
