"""Which architecture? Short trainings at equal time, one table.

Every variant begins with the linear start and is measured on held-out training photos. At equal
time: what is released makes --steps; a variant makes as many as fit into the time of these, by the
cost of its steps, which are timed in turn with those of the released one (another part of parts.py
is taken to cost the same). So a machine that is slower for a while favours none. Goes on where it
was; writes results.json.
"""

import argparse
import json
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import parts
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vcm.bd import bd_rate
from vcm.codec.format.control import Control
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.nets.control import Controls
from vcm.errors import MetricError
from vcm.files import write_atomic
from vcm.provenance import provenance
from vcm.rd import RDCurve, RDPoint
from vcm.train.check import check
from vcm.train.config import Training, load
from vcm.train.data import batch
from vcm.train.photos import Photo, load_photos
from vcm.train.trainer import Trainer

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "configs" / "base.toml"
SIDE, PAIRS = 256, 10
ALWAYS = ["run.threads=1", "optim.average=0.99", "optim.decay_from=1.0"]
Row = dict[str, float]


def variants() -> dict[str, tuple[list[str], str]]:
    """Changes of the config and the other part, by name."""
    told = tomllib.loads((HERE / "variants.toml").read_text())
    changed = {name: (changes, "") for name, changes in told["changes"].items()}
    return changed | {name: ([], part) for name, part in told["parts"].items()}


def trained(name: str, steps: int, work: Path) -> Row:
    """The held-out numbers of a variant after the time of so many steps of the released one."""
    kept = work / f"{name.replace('/', '-')}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    torch.set_num_threads(1)
    changes, part = variants()[name]
    config, plain = (
        load(CONFIG, [*given, *ALWAYS, f'run.folder="{work}/none"']) for given in (changes, [])
    )
    photos, held_out = load_photos(config.data)
    cost = relative_cost(config, plain, photos) if changes else 1.0
    trainer = Trainer(config, photos, parts.PARTS[part])
    for step in range(round(steps / cost)):
        trainer.advance(batch(photos, config.data, config.run.seed, step))
    trainer.all.load_state_dict(trainer.average.values)
    row = check(trainer.all.eval(), held_out, SIDE)
    row |= {"steps": trainer.step, "kMAC per pixel": kmac(trainer.all.model)}
    work.mkdir(parents=True, exist_ok=True)
    write_atomic(kept, json.dumps(row).encode())
    return row


def relative_cost(config: Training, plain: Training, photos: Sequence[Photo]) -> float:
    """Time of a step in times of the released one's: the median of pairs, one after the other."""
    pair = [Trainer(c, photos) for c in (plain, config)]
    ratios = []
    for step in range(PAIRS + 1):
        times = []
        for trainer in pair:
            start = time.process_time()
            trainer.advance(batch(photos, config.data, config.run.seed, step))
            times.append(time.process_time() - start)
        ratios.append(times[1] / times[0])
    return median(ratios[1:])  # the first one warms up


@torch.no_grad()
def kmac(model: RoiHyperprior) -> float:
    """Thousands of multiply-adds a pixel that decoding takes."""
    h, s, control = SIDE // 16, model.sizes, Controls.single(Control(50))
    z, known = torch.zeros(1, s.Z, h // 4, h // 4), torch.zeros(1, s.M, h, h)
    networks: nn.Module = model.decoder.parameters_y
    with FlopCounterMode(display=False) as counted:
        features = networks.features(z, control, (h, h))
        for number in range(4):
            networks(number, features, control, known)
        model.decoder.synthesise(known, control)
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
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--work", type=Path, default=Path("runs/01_search"))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    names, work = list(variants()), given.work / f"{given.steps}"
    job = partial(trained, steps=given.steps, work=work)
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        rows = dict(zip(names, pool.map(job, names), strict=True))
    table = {name: beside(rows[names[0]], row) for name, row in rows.items()}
    for name, row in table.items():
        print(f"{name:<42} " + "  ".join(f"{key} {value:.1f}" for key, value in row.items()))
    result = {"steps": given.steps, "variants": table, "provenance": provenance()}
    write_atomic(HERE / "results.json", (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
