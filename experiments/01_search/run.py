"""Which architecture? Short trainings, each of the same processor time, one table.

Every variant begins with the linear start, learns for --seconds of one core's time (not steps: what
is slower gets fewer), and is measured on held-out training photos. Goes on where it was; writes
results.json.
"""

import argparse
import json
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import parts
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vcm.bd import bd_rate
from vcm.codec.model import Quality, RoiHyperprior
from vcm.errors import MetricError
from vcm.files import write_atomic
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.train.check import check
from vcm.train.config import load
from vcm.train.data import batch
from vcm.train.photos import load_photos
from vcm.train.trainer import Trainer

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "configs" / "base.toml"
SIDE = 256
ALWAYS = ["run.threads=1", "optim.average=0.99", "optim.decay_from=1.0"]
Row = dict[str, float]


def variants() -> dict[str, tuple[list[str], str]]:
    """Changes of the config and the other part, by name."""
    told = tomllib.loads((HERE / "variants.toml").read_text())
    changed = {name: (changes, "") for name, changes in told["changes"].items()}
    return changed | {name: ([], part) for name, part in told["parts"].items()}


def trained(name: str, seconds: float, work: Path) -> Row:
    """The held-out numbers of a variant after so much time of this process."""
    kept = work / f"{name.replace('/', '-')}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    torch.set_num_threads(1)
    changes, part = variants()[name]
    config = load(CONFIG, [*changes, *ALWAYS, f'run.folder="{work}/none"'])
    photos, held_out = load_photos(config.data)
    with parts.replaced(part):
        trainer = Trainer(config, photos, partial(parts.build, part))
        start = time.process_time()
        while time.process_time() - start < seconds:
            trainer.advance(batch(photos, config.data, config.run.seed, trainer.step))
        trainer.all.load_state_dict(trainer.average.values)
        row = check(trainer.all.eval(), held_out, SIDE)
        row |= {"steps": trainer.step, "kMAC per pixel": kmac(trainer.all.model)}
    work.mkdir(parents=True, exist_ok=True)
    write_atomic(kept, json.dumps(row).encode())
    return row


@torch.no_grad()
def kmac(model: RoiHyperprior) -> float:
    """Thousands of multiply-adds a pixel that decoding takes."""
    h, s, quality = SIDE // 16, model.sizes, Quality.single(50)
    z, known = torch.zeros(1, s.Z, h // 4, h // 4), torch.zeros(1, s.M, h, h)
    networks: nn.Module = model.parameters_y
    with FlopCounterMode(display=False) as counted:
        features = networks.features(z, quality.level, (h, h))
        for number in range(4):
            networks(number, features, quality.level, known)
        model.synthesise(known, quality)
    return counted.get_total_flops() / 2 / SIDE**2 / 1000


def curve(row: Row, sigma: float) -> RDCurve:
    """The mean held-out curve: PSNR (of the ROI) over bits."""
    points = [
        RDPoint(round(row[f"q{q}_s{sigma}_bpp"] * 1e6), 10**6, row[f"q{q}_s{sigma}_psnr"])
        for q in (0, 25, 50, 75, 100)
    ]
    return RDCurve("", "PSNR", tuple(points))


def beside(base: Row, row: Row) -> Row:
    """BD-rates in percent against the released choice, without an ROI and with one."""
    found: Row = {}
    for name, sigma in (("sigma 1", 1.0), ("ROI, sigma 0.1", 0.1)):
        try:
            found[f"BD-rate, {name}, %"] = bd_rate(curve(base, sigma), curve(row, sigma))
        except MetricError as error:
            print(f"{name}: {error}")
    return found | {key: row[key] for key in ("steps", "kMAC per pixel")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--work", type=Path, default=Path("runs/01_search"))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    names, work = list(variants()), given.work / f"{given.seconds:g}"
    job = partial(trained, seconds=given.seconds, work=work)
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        rows = dict(zip(names, pool.map(job, names), strict=True))
    table = {name: beside(rows[names[0]], row) for name, row in rows.items()}
    for name, row in table.items():
        print(f"{name:<42} " + "  ".join(f"{key} {value:.1f}" for key, value in row.items()))
    result = {"seconds": given.seconds, "variants": table, "provenance": provenance()}
    write_atomic(HERE / "results.json", (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
