"""Words to masks against masks that people drew; writes results.json and plot.png."""

import argparse
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from click import progressbar
from numpy.typing import NDArray
from PIL import Image as Pillow
from pycocotools.coco import COCO

from vcm import image, pipeline
from vcm.bd import bd_rate
from vcm.codec.api import Codec
from vcm.errors import MetricError
from vcm.files import add_json
from vcm.metrics.distortion import psnr
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.roi import load_backend
from vcm.roi.acquire import acquire, select
from vcm.roi.base import Backend
from vcm.roi.mask import RoiMask
from vcm.roi.text import parse
from vcm.roi.vocabulary import vocabulary
from vcm.train.roi_labels import VOC
from vcm.vision.deeplab import DeepLab

HERE = Path(__file__).parent
TAUS = np.round(np.arange(0.05, 1.0, 0.05), 2)
QUALITIES = (10, 30, 50, 70, 90)
SIGMA = 0.1
LEAST = 0.005  # share of a photo from which a class in it is no trifle
SYNONYMS = {  # of VOC's classes, two for each
    "airplane": ("aeroplane", "jet"), "bicycle": ("mountain bike", "cycle"),
    "bird": ("seabird", "songbird"),
    "boat": ("ship", "sailboat"), "bottle": ("flask", "wine bottle"), "bus": ("coach", "minibus"),
    "car": ("automobile", "sedan"), "cat": ("kitten", "tabby"), "chair": ("armchair", "seat"),
    "cow": ("cattle", "dairy cow"), "dining table": ("table", "kitchen table"),
    "dog": ("puppy", "hound"),
    "horse": ("pony", "racehorse"), "motorcycle": ("motorbike", "moped"),
    "person": ("people", "woman"), "potted plant": ("houseplant", "plant"),
    "sheep": ("lamb", "ewe"), "couch": ("sofa", "settee"), "train": ("locomotive", "tram"),
    "tv": ("television", "monitor"),
}  # fmt: skip
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Maps = Callable[[Image], NDArray[np.float32]]  # similarity with each class: (C, H, W)
Counts = NDArray[np.int64]  # (photos, tau, class, [both, found, true])


class Sample(NamedTuple):
    """A photo.

    Attributes:
        true: (C, H, W) bool, what each class covers.
        valid: (H, W) bool, where that is known.
    """

    path: Path
    true: Mask
    valid: Mask


class Method(NamedTuple):
    """Words or classes to masks: similarities, threshold and how far below it masks grow."""

    maps: Maps
    tau: float
    growth: float


def voc(folder: Path) -> tuple[tuple[str, ...], Iterator[Sample]]:
    """VOC's 20 classes; edges and difficult objects are not counted."""

    def samples() -> Iterator[Sample]:
        for path in image.folder(folder / "images"):
            labels = np.asarray(Pillow.open(folder / "voc_class_masks" / f"{path.stem}.png"))
            true = np.stack([labels == i + 1 for i in range(len(VOC))])
            yield Sample(path, true, labels != 255)

    return VOC, samples()


def coco(folder: Path) -> tuple[tuple[str, ...], Iterator[Sample]]:
    """COCO's 80 classes; crowds are not counted."""
    names, data = vocabulary().coco, COCO(folder / "instances.json")
    place = {c["id"]: names.index(c["name"]) for c in data.loadCats(data.getCatIds())}

    def samples() -> Iterator[Sample]:
        for entry in data.loadImgs(sorted(data.getImgIds())):
            true = np.zeros((len(names), entry["height"], entry["width"]), np.bool_)
            valid = np.ones(true.shape[1:], np.bool_)
            for annotation in data.loadAnns(data.getAnnIds(entry["id"])):
                mask = data.annToMask(annotation).astype(np.bool_)
                if annotation["iscrowd"]:
                    valid &= ~mask
                else:
                    true[place[annotation["category_id"]]] |= mask
            yield Sample(folder / "images" / entry["file_name"], true, valid)

    return names, samples()


SETS = {"voc100": voc, "coco213": coco}


def of_words(backend: Backend, words: tuple[str, ...]) -> Method:
    """What a backend says of words."""
    return Method(
        lambda p: np.stack(list(backend.similarity(p, words))), backend.tau, backend.growth
    )


def of_labels(model: DeepLab) -> Method:
    """What a model of fixed classes says: 1 where it sees a class."""
    labels = np.arange(1, len(VOC) + 1)[:, None, None]
    return Method(lambda p: (model.segment(p) == labels).astype(np.float32), 0.5, 1.0)


def count(maps: NDArray[np.float32], sample: Sample, growth: float) -> Counts:
    """Pixels in both, found and true: (T, C, 3)."""
    counts = np.zeros((len(TAUS), len(maps), 3), np.int64)
    for c, similarity in enumerate(maps):
        true = sample.true[c][sample.valid]
        counts[:, c, 2] = true.sum()
        for t in np.flatnonzero(similarity.max() >= TAUS):
            found = select(similarity, TAUS[t], TAUS[t] * growth)[sample.valid]
            counts[t, c, :2] = (found & true).sum(), found.sum()
    return counts


def score(counts: Counts, names: tuple[str, ...], tau: float, sizes: NDArray[np.int64]) -> dict:
    """Means over classes, in percent, over tau and at one tau.

    Args:
        sizes: (photos,), known pixels of each.
    """
    both, found, true = np.moveaxis(counts.astype(np.float64), -1, 0)
    seen = true[:, 0].sum(0) > 0
    sums = [t.sum(0)[:, seen] for t in (both, found, true)]
    with np.errstate(invalid="ignore"):
        iou = sums[0] / (sums[1] + sums[2] - sums[0])
        precision, recall = sums[0] / sums[1], sums[0] / sums[2]
        pairs = both / (found + true - both)
    absent = true[:, 0] == 0
    large = true[:, 0] >= LEAST * sizes[:, None]
    at = int(np.abs(TAUS - tau).argmin())
    kept = [name for name, s in zip(names, seen, strict=True) if s]
    return {
        "tau": tau,
        "mIoU": 100 * iou[at].mean(),
        "precision": 100 * float(np.nanmean(precision[at])),
        "recall": 100 * recall[at].mean(),
        "mean IoU of a photo and a class": 100 * float(pairs[:, at][~absent].mean()),
        "the same, at least half a percent of the photo": 100 * float(pairs[:, at][large].mean()),
        "classes with IoU below 5": int((iou[at] < 0.05).sum()),
        "absent classes with an empty mask": 100 * float((found[:, at][absent] == 0).mean()),
        "over tau": {
            "tau": TAUS.tolist(),
            "mIoU": (100 * iou.mean(1)).tolist(),
            "precision": (100 * np.nanmean(precision, 1)).tolist(),
            "recall": (100 * recall.mean(1)).tolist(),
            "empty": [100 * float((found[:, i][absent] == 0).mean()) for i in range(len(TAUS))],
        },
        "IoU": dict(zip(kept, (100 * iou[at]).tolist(), strict=True)),
    }


def masks(samples: list[Sample], names: tuple[str, ...], methods: dict[str, Method]):
    """The score of every method."""
    result = {}
    for label, method in methods.items():
        with progressbar(samples, label=f"{label:<24}") as bar:
            counts = [count(method.maps(image.read(s.path)), s, method.growth) for s in bar]
        sizes = np.array([s.valid.sum() for s in samples])
        result[label] = score(np.stack(counts), names, method.tau, sizes)
        row = {k: round(v, 1) for k, v in result[label].items() if isinstance(v, float)}
        print(label, row, flush=True)
    return result


def cost(samples: list[Sample], names: tuple[str, ...], backend: Backend, codec: Codec) -> dict:
    """What coding by words costs beside coding by true masks, at equal PSNR of the true ROI."""
    rates, lost = [], []
    todo = [(s, c) for s in samples for c in np.flatnonzero(s.true.any((1, 2)))]
    todo = [(s, c) for s, c in todo if 0.02 <= s.true[c].mean() <= 0.6]
    with progressbar(todo, label="coding") as bar:
        for sample, c in bar:
            picture, true = image.read(sample.path), sample.true[c]
            found = acquire(picture, parse(names[c]), backend, sigma=SIGMA)
            lost.append(float((true & ~found.roi).sum() / true.sum()))
            curves = [curve(picture, m, true, codec) for m in (RoiMask(true, SIGMA, ""), found)]
            try:
                rates.append(bd_rate(*curves))
            except MetricError:
                rates.append(float("nan"))
    known = np.array(rates)[np.isfinite(rates)]
    return {
        "pairs": len(rates),
        "pairs whose curves meet": len(known),
        "ROI BD-rate against true masks, mean %": float(known.mean()),
        "median %": float(np.median(known)),
        "share of object pixels outside, mean %": 100 * float(np.mean(lost)),
        "median share outside, %": 100 * float(np.median(lost)),
    }


def curve(picture: Image, mask: RoiMask, true: Mask, codec: Codec) -> RDCurve:
    """PSNR of the true ROI over the file's size."""
    points = []
    for quality in QUALITIES:
        data = pipeline.encode(picture, mask, codec, quality=quality)
        inside = psnr(picture, pipeline.decode(data, codec), true)
        points.append(RDPoint(8 * len(data), true.size, inside))
    return RDCurve("", "ROI-PSNR, dB", tuple(points))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--ours", action="store_true", help="only the embedded network")
    parser.add_argument("--masks", action="store_true", help="no coding, which takes most time")
    parser.add_argument("--photos", type=int, default=1_000, help="of each data set, at most")
    parser.add_argument("--weights", help="of the embedded network")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # "found nothing" is what is counted
    embedded = load_backend("embedded", weights=options.weights)
    yolo = load_backend("segmenter", weights=str(options.models / "yolov8n-seg.pt"))
    deeplab = DeepLab(options.models / "deeplabv3_mnv2_pascal_quant.tflite")
    for data in options.sets:
        names, found = SETS[data](options.data / data)
        samples = [s for s, _ in zip(found, range(options.photos), strict=False)]
        methods = {"embedded": of_words(embedded, names)}
        if data == "voc100":
            for i in (0, 1):
                words = tuple(SYNONYMS[name][i] for name in names)
                methods[f"embedded, synonyms {i + 1}"] = of_words(embedded, words)
            methods["DeepLabv3-MobileNetV2"] = of_labels(deeplab)
        methods["YOLOv8n-seg"] = of_words(yolo, names)
        known = json.loads((HERE / "results.json").read_text())[data]["methods"]
        if options.ours:  # the others' rows stay: nothing of theirs has changed
            methods = {k: v for k, v in methods.items() if k.startswith("embedded")}
        rows = (known if options.ours else {}) | masks(samples, names, methods)
        result = {"photos": len(samples), "methods": rows, "provenance": provenance()}
        if not options.masks:
            result["coding"] = cost(samples, names, embedded, Codec.load())
            print(result["coding"])
        add_json(HERE / "results.json", {data: result})
    plot(json.loads((HERE / "results.json").read_text()))


def plot(results: dict[str, dict]) -> None:
    """Mean IoU, precision, recall and empty masks over tau."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(results), figsize=(13, 4.5), layout="constrained")
    for axis, (data, result) in zip(axes, results.items(), strict=True):
        over = result["methods"]["embedded"]["over tau"]
        for key in ("mIoU", "precision", "recall", "empty"):
            axis.plot(over["tau"], over[key], label=key)
        axis.axvline(result["methods"]["embedded"]["tau"], color="grey", linestyle=":")
        axis.set(title=f"{data}, embedded", xlabel="tau", ylabel="percent", ylim=(0, 100))
        axis.legend()
        axis.grid(alpha=0.3)
    figure.savefig(HERE / "plot.png", dpi=100)


if __name__ == "__main__":
    main()
