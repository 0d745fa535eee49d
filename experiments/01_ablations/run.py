"""What each part of the method is good for: short trainings at an equal budget, one table.

Trains every variant (goes on where it was stopped), then measures it on photos with true masks.
Writes results.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from click import progressbar
from torch import Tensor, nn
from variants import VARIANTS

from vcm import image
from vcm.bd import bd_rate
from vcm.codec.models.loss import bpp_est
from vcm.codec.models.rate import Rate
from vcm.codec.runtime import weights
from vcm.errors import MetricError
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.train import checkpoint
from vcm.train.config import Optim, Run, Training
from vcm.train.loop import train
from vcm.train.photos import Data

HERE = Path(__file__).parent
SIGMAS = (1.0, 0.3, 0.1, 0.03)
QUALITIES = (1000, 3000, 5000, 7000, 9000)
Row = dict[str, float]
Table = dict[float, list[Row]]  # by sigma, one entry per quality


def config(name: str, steps: int, threads: int) -> Training:
    """The training of a variant: sizes of the released model, few steps, seeds of all the same."""
    train_folder = Path("../shared/data/train")
    data = Data(
        photos=str(train_folder / "images"),
        regions=tuple(str(train_folder / n) for n in ("voc_class_masks", "bsds_segments")),
        sigma=(0.1, 0.1) if name.startswith("one sigma") else Data.sigma,
    )
    folder = f"runs/01_ablations/{name.replace(' ', '_')}"
    run = Run(folder=folder, threads=threads, check_every=steps, save_every=250)
    released = weights.load().model.sizes
    return Training(model=released, data=data, optim=Optim(steps=steps), run=run)


def trained(name: str, steps: int, threads: int) -> nn.ModuleDict:
    """The averaged weights of a variant, in evaluation mode."""
    settings = config(name, steps, threads)
    final = Path(settings.run.folder) / "final.ckpt"
    if not final.is_file():
        for record in train(settings, VARIANTS[name]):
            print(f"{name}: step {record['step']:.0f}, loss {record['loss']:.4f}", flush=True)
    net = VARIANTS[name].imported("net")
    both = nn.ModuleDict({"model": net(settings.model), "rate": Rate(settings.model.Z)})
    both.load_state_dict(checkpoint.load(final)["average"])
    return both.eval()


def photos(folder: Path, count: int) -> list[tuple[Tensor, Tensor]]:
    """x (1, 3, H, W) and ROI (1, 1, H, W) bool, cut to multiples of 64, where it covers 5-60 %."""
    from pycocotools.coco import COCO

    coco, found = COCO(folder / "instances.json"), []
    for entry in coco.loadImgs(sorted(coco.getImgIds())):
        roi = np.zeros((entry["height"], entry["width"]), np.bool_)
        for annotation in coco.loadAnns(coco.getAnnIds(entry["id"])):
            roi |= coco.annToMask(annotation).astype(np.bool_)
        height, width = (n // 64 * 64 for n in roi.shape)
        roi = roi[:height, :width]
        if 0.05 <= roi.mean() <= 0.6 and len(found) < count:
            pixels = image.read(folder / "images" / entry["file_name"])[:height, :width]
            x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
            found.append((x, torch.from_numpy(roi)[None, None]))
    return found


@torch.inference_mode()
def measure(both: nn.ModuleDict, x: Tensor, roi: Tensor) -> Table:
    """Bits by the entropy model and PSNR inside and outside, for each sigma and quality."""
    table: Table = {}
    for sigma in SIGMAS:
        m = torch.where(roi, 1.0, sigma)
        table[sigma] = []
        for hundredths in QUALITIES:
            coded = both["model"](x, m, torch.tensor([hundredths]))
            bits = bpp_est(both["rate"](coded), roi.numel()).item() * roi.numel()
            error = (coded.x_hat.clamp(0, 1) - x).square().mean(1, keepdim=True)
            inside, outside = (-10 * error[part].mean().log10().item() for part in (roi, ~roi))
            row = {"bits": bits, "pixels": roi.numel(), "roi": inside, "background": outside}
            table[sigma].append(row)
    return table


def roi_bd(anchor: list[Row], test: list[Row]) -> float:
    """BD-rate on ROI-PSNR, nan where the curves do not meet."""
    points = (
        tuple(RDPoint(int(r["bits"]), int(r["pixels"]), r["roi"]) for r in c)
        for c in (anchor, test)
    )
    try:
        return bd_rate(*(RDCurve("", "ROI-PSNR", p) for p in points))
    except MetricError:
        return float("nan")


def summary(base: list[Table], tables: list[Table]) -> dict[str, float]:
    """Of a variant beside the released method: means over photos."""
    row: dict[str, float] = {}
    for sigma in SIGMAS:
        pairs = [roi_bd(b[1.0], t[sigma]) for b, t in zip(base, tables, strict=True)]
        row[f"ROI BD-rate at sigma {sigma:g}, %"] = float(np.nanmean(pairs))
        gap = [r["background"] - r["roi"] for t in tables for r in t[sigma]]
        row[f"background minus ROI at sigma {sigma:g}, dB"] = float(np.mean(gap))
        lost = [e["roi"] - r["roi"] for t in tables for e, r in zip(t[1.0], t[sigma], strict=True)]
        row[f"ROI lost at sigma {sigma:g}, dB"] = float(np.mean(lost))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/coco213"))
    parser.add_argument("--photos", type=int, default=30)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    models = {name: trained(name, options.steps, options.threads) for name in VARIANTS}
    todo = photos(options.data, options.photos)
    tables = {}
    for name, both in models.items():
        with progressbar(todo, label=name) as bar:
            tables[name] = [measure(both, x, roi) for x, roi in bar]
    base = tables["as released"]
    rows = {name: summary(base, table) for name, table in tables.items()}
    for name, row in rows.items():
        print(f"{name:<34} " + "  ".join(f"{k} {v:.2f}" for k, v in row.items()))
    result = {"photos": len(todo), "steps": options.steps, "variants": rows}
    result["provenance"] = provenance()
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
