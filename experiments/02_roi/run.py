"""ROI coding with true masks: ours against QP maps, prepared backgrounds and fixed ROIs.

Every photo with two or more classes is coded once for each of up to three of its classes (a text
each): the ROI is what that text means, by the masks that people drew. Files are measured, and kept
in --cache under all that they depend on. Writes results.json and plot.png.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from click import progressbar
from numpy.typing import NDArray
from pycocotools.coco import COCO
from scipy.interpolate import PchipInterpolator

from vcm import image
from vcm.bd import bd_rate
from vcm.errors import MetricError
from vcm.evaluate.codecs import build
from vcm.evaluate.rated import RatedCodec
from vcm.evaluate.store import Store
from vcm.files import add_json
from vcm.metrics.distortion import psnr
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.roi.mask import RoiMask

HERE = Path(__file__).parent
SIGMAS = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03)
QUALITIES = (10, 30, 50, 70, 90)
QPS = (43, 38, 33, 28, 23)
ANCHORS = {
    "x265-qp-8": "x265+roi:offset=-8",
    "x265-qp-12": "x265+roi:offset=-12",
    "vvenc-blurred": "vvenc+blur",
    "vvenc-flat": "vvenc+flat",
}
TEXTS = 3  # of a photo
Mask = NDArray[np.bool_]
Row = dict[str, float]  # bits, pixels, roi and background in dB


class Case(NamedTuple):
    """One photo and one text.

    Attributes:
        roi: true mask of the text's class.
        objects: union of all objects: what a codec with one fixed mask protects.
    """

    name: str
    path: Path
    roi: Mask
    objects: Mask


def cases(folder: Path, photos: int) -> Iterator[Case]:
    """Classes that cover 2 to 60 % of their photo, in photos with more than one class."""
    coco = COCO(folder / "instances.json")
    for entry in coco.loadImgs(sorted(coco.getImgIds()))[:photos]:
        masks: dict[str, Mask] = {}
        for annotation in coco.loadAnns(coco.getAnnIds(entry["id"])):
            name = coco.loadCats(annotation["category_id"])[0]["name"]
            mask = coco.annToMask(annotation).astype(np.bool_)
            masks[name] = masks.get(name, mask) | mask
        if len(masks) < 2:
            continue
        objects = np.any(list(masks.values()), 0)
        fit = [name for name, mask in masks.items() if 0.02 <= mask.mean() <= 0.6]
        for name in fit[:TEXTS]:
            path = folder / "images" / entry["file_name"]
            yield Case(f"{path.stem} {name}", path, masks[name], objects)


def centre(shape: tuple[int, ...]) -> Mask:
    """The middle half of a picture, each way: what is likely to matter."""
    mask = np.zeros(shape, np.bool_)
    height, width = shape
    mask[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    return mask


class Method(NamedTuple):
    """A codec, and the ROI that it is told of a case."""

    codec: RatedCodec
    roi: Callable[[Case], Mask] = lambda case: case.roi


def methods(weights: str) -> dict[str, Method]:
    """What is compared."""
    at = ":at=" + "/".join(map(str, QUALITIES))
    qps = ":at=" + "/".join(map(str, QPS))
    table = {f"vcm sigma {s:g}": Method(build(f"vcm{at}", s, weights)) for s in SIGMAS}
    fixed = build(f"vcm{at}", 0.1, weights)
    table["fixed ROI: all objects"] = Method(fixed, lambda case: case.objects)
    table["fixed ROI: centre"] = Method(fixed, lambda case: centre(case.roi.shape))
    return table | {n: Method(build(text + qps, 1.0, weights)) for n, text in ANCHORS.items()}


def measure(label: str, method: Method, todo: list[Case], store: Store) -> dict[str, list[Row]]:
    """The rows of every case, few bits first."""
    with progressbar(todo, label=f"{label:<24}") as bar:
        return {case.name: rows_of(method, case, store) for case in bar}


def rows_of(method: Method, case: Case, store: Store) -> list[Row]:
    """Bits and PSNR, one row a setting; PSNR is of the text's ROI, whatever the codec was told."""
    picture, codec, rows = image.read(case.path), method.codec, []
    mask = RoiMask(method.roi(case), 1.0, "drawn")  # each has a sigma of its own
    for setting in codec.settings:
        data = store.encoded(codec, picture, mask, setting)
        decoded = codec.decode(data, *picture.shape[:2])
        inside, outside = psnr(picture, decoded, case.roi), psnr(picture, decoded, ~case.roi)
        rows.append({"bits": 8 * len(data), "roi": inside, "background": outside})
        rows[-1]["pixels"] = picture.size // 3
    return rows


def roi_bd(anchor: list[Row], test: list[Row]) -> float | None:
    """BD-rate on ROI-PSNR, or None where the curves do not meet."""
    a, t = (
        RDCurve(
            "", "ROI-PSNR", tuple(RDPoint(int(r["bits"]), int(r["pixels"]), r["roi"]) for r in c)
        )
        for c in (anchor, test)
    )
    try:
        return bd_rate(a, t)
    except MetricError:
        return None


def at_equal_quality(ours: dict[float, list[Row]], other: list[Row]) -> list[float]:
    """Our bits over those of another codec's points, at its ROI-PSNR and its background PSNR.

    For each sigma the quality is found that gives the ROI-PSNR; among these the sigma that gives
    the background's. Points outside of what our sigmas and qualities span are left out.
    """
    ratios = []
    for point in other:
        found = []
        for rows in ours.values():
            roi = [r["roi"] for r in rows]
            if not (np.all(np.diff(roi) > 0) and roi[0] <= point["roi"] <= roi[-1]):
                continue
            bits = PchipInterpolator(roi, np.log([r["bits"] for r in rows]))(point["roi"])
            background = PchipInterpolator(roi, [r["background"] for r in rows])(point["roi"])
            found.append((float(background), float(bits)))
        found.sort()
        background = [b for b, _ in found]
        if len(found) > 2 and background[0] <= point["background"] <= background[-1]:
            log_bits = np.interp(point["background"], background, [b for _, b in found])
            ratios.append(float(np.exp(log_bits)) / point["bits"])
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco213"))
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--cache", type=Path, default=Path("runs/02_roi"))
    options = parser.parse_args()
    todo = list(cases(options.data, options.photos))
    results: dict[str, dict[str, list[Row]]] = {}
    for label, method in methods(options.weights).items():
        results[label] = measure(label, method, todo, Store(options.cache))
    report(results, options.data.name)


def report(results: dict[str, dict[str, list[Row]]], data: str) -> None:
    """Print the tables, write results.json and the plot."""
    even = results["vcm sigma 1"]
    table: dict[str, dict[str, Any]] = {}
    for label, rows in results.items():
        bd = [v for name in even if (v := roi_bd(even[name], rows[name])) is not None]
        table[label] = {"ROI BD-rate vs vcm sigma 1, %": float(np.mean(bd)), "pairs": len(bd)}
        table[label]["means"] = means(rows)
        background = [r["background"] - r["roi"] for case in rows.values() for r in case]
        table[label]["background minus ROI, dB"] = float(np.mean(background))
        if label in ANCHORS:
            ratios = [
                ratio
                for name in rows
                for ratio in at_equal_quality(
                    {s: results[f"vcm sigma {s:g}"][name] for s in SIGMAS}, rows[name]
                )
            ]
            saved = 100 * (np.exp(np.mean(np.log(ratios))) - 1) if ratios else float("nan")
            table[label]["our bits at equal ROI and background PSNR, %"] = float(saved)
            table[label]["points"] = len(ratios)
    for label, row in table.items():
        told = ((key, value) for key, value in row.items() if key != "means")
        print(f"{label:<24} " + "  ".join(f"{key} {value:.4g}" for key, value in told))
    about = {"texts": len(even), "provenance": provenance()}
    add_json(HERE / "results.json", {data: about | table})
    plot(results, HERE / f"plot-{data}.png")


def means(rows: dict[str, list[Row]]) -> list[Row]:
    """Mean bpp and PSNR of ROI and background at each setting."""
    settings = zip(*rows.values(), strict=True)
    return [
        {
            "bpp": float(np.mean([r["bits"] / r["pixels"] for r in setting])),
            "roi": float(np.mean([r["roi"] for r in setting])),
            "background": float(np.mean([r["background"] for r in setting])),
        }
        for setting in map(list, settings)
    ]


def plot(results: dict[str, dict[str, list[Row]]], path: Path) -> None:
    """Mean ROI-PSNR and background PSNR over mean bpp, one line a method."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5), layout="constrained")
    ours = [label for label in results if label.startswith("vcm")]
    style: dict[str, dict] = {
        label: {"color": pyplot.get_cmap("viridis")(i / len(ours)), "linestyle": "-", "marker": "o"}
        for i, label in enumerate(ours)
    }
    for i, label in enumerate(label for label in results if label not in ours):
        style[label] = {"color": f"C{i + 1}", "linestyle": ":" if i < 2 else "--", "marker": "."}
    for label, rows in results.items():
        cases = list(rows.values())
        bpp = np.mean([[r["bits"] / r["pixels"] for r in case] for case in cases], 0)
        for axis, key in zip(axes, ("roi", "background"), strict=True):
            score = np.mean([[r[key] for r in case] for case in cases], 0)
            axis.plot(bpp, score, label=label, **style[label])
            axis.set(xlabel="bits per pixel", ylabel=f"{key} PSNR, dB", xlim=(0, 1.5))
            axis.grid(alpha=0.3)
    axes[1].legend(fontsize=7)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
