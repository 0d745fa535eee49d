"""Rate-distortion of our codec and of classical ones on Kodak; writes results.json and plot.png.

Every number is of a file that was written and a picture that was decoded from it. What a codec
once gave is kept in points/, from where a peer may take it for a plot; delete a codec's file there
to measure it again. Ours is measured every time.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from click import progressbar
from numpy.typing import NDArray

from vcm import image, pipeline
from vcm.anchors import ANCHORS
from vcm.bd import bd_rate
from vcm.codec.codec import Codec
from vcm.errors import MetricError
from vcm.files import write_atomic
from vcm.metrics.distortion import psnr
from vcm.metrics.perceptual import decibels, ms_ssim
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.roi.mask import RoiMask

HERE = Path(__file__).parent
QUALITIES = (0, 12, 25, 37, 50, 62, 75, 87, 100)
RANGE = (0.1, 1.0)  # bpp that BD-rates are taken over
Image = NDArray[np.uint8]
Coder = Callable[[Image, int], tuple[bytes, Image]]
Rows = dict[str, list[dict[str, float]]]  # by picture, one entry per setting


def ours(weights: str) -> Coder:
    """Our codec without an ROI."""
    codec = Codec.load(weights)

    def code(picture: Image, quality: int) -> tuple[bytes, Image]:
        even = RoiMask(np.ones(picture.shape[:2], np.bool_), 1.0, "everything")
        data = pipeline.encode(picture, even, codec, quality=quality)
        return data, pipeline.decode(data, codec)

    return code


def classical(name: str) -> Coder:
    """An anchor."""
    anchor = ANCHORS[name]

    def code(picture: Image, setting: int) -> tuple[bytes, Image]:
        data = anchor.encode(picture, setting)
        return data, anchor.decode(data, *picture.shape[:2])

    return code


def measure(name: str, pictures: list[Path], settings: tuple[int, ...], code: Coder) -> Rows:
    """Bits, pixels, PSNR and MS-SSIM in dB of every picture at every setting."""
    rows: Rows = {}
    with progressbar(pictures, label=f"{name:<10}") as bar:
        for path in bar:
            picture = image.read(path)
            rows[path.stem] = []
            for setting in settings:
                data, decoded = code(picture, setting)
                rows[path.stem].append(
                    {
                        "setting": setting,
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
    for axis, metric in zip(axes, ("psnr", "ms_ssim_db"), strict=True):
        for name, rows in results.items():
            table = list(rows.values())
            bpp = np.mean([[r["bits"] / r["pixels"] for r in p] for p in table], 0)
            score = np.mean([[r[metric] for r in p] for p in table], 0)
            bold = name == "vcm"
            axis.plot(bpp, score, "o-" if bold else ".-", label=name, lw=2.5 if bold else 1)
        axis.set(xlabel="bits per pixel", ylabel=f"{metric}, dB", xlim=(0, 1.6))
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle("Kodak, mean of 24 pictures, sizes of files")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kodak"))
    parser.add_argument("--weights", default="base")
    parser.add_argument("--points", type=Path, default=HERE / "points")
    parser.add_argument("--codecs", nargs="*", default=[*ANCHORS, "vcm"])
    options = parser.parse_args()
    pictures = image.folder(options.data)
    results = {}
    for name in options.codecs:
        kept = options.points / f"{name}.json"
        if name == "vcm" or not kept.is_file():
            settings = QUALITIES if name == "vcm" else ANCHORS[name].settings
            code = ours(options.weights) if name == "vcm" else classical(name)
            rows = measure(name, pictures, settings, code)
            options.points.mkdir(parents=True, exist_ok=True)
            lines = (f" {json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items())
            kept.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        results[name] = json.loads(kept.read_text())
    table = {
        name: {
            f"{metric} vs {anchor}": mean_bd(results[anchor], rows, metric)
            for metric in ("psnr", "ms_ssim_db")
            for anchor in ("jpeg", "vvenc")
            if anchor in results and anchor != name
        }
        for name, rows in results.items()
    }
    for name, row in table.items():
        print(f"{name:<10} " + "  ".join(f"{key} {value:+6.1f} %" for key, value in row.items()))
    if set(options.codecs) < {*ANCHORS, "vcm"}:
        print("results.json and plot.png are left as they were: these are not all codecs")
        return
    summary = {"pictures": len(pictures), "range_bpp": RANGE, "bd_rate": table}
    summary["provenance"] = provenance()
    write_atomic(HERE / "results.json", (json.dumps(summary, indent=1) + "\n").encode())
    plot(results, HERE / "plot.png")


if __name__ == "__main__":
    main()
